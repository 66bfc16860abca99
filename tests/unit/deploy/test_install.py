"""How the launcher makes the virtual environment of a checkout."""

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from deploy.install import install_commands, is_complete, main
from tests.support.waiting import wait_until

# Stands for uv: writes down that it ran, and makes the interpreter that is looked for.
_FAKE_UV = """#!/bin/sh
echo "$1" >> "{root}/calls"
mkdir -p "{root}/.venv/bin"
touch "{root}/.venv/bin/python"
"""


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout with a lock file, and an installer that only writes down its calls."""
    (tmp_path / "requirements.lock").write_text("one==1\n")
    uv = tmp_path / "bin" / "uv"
    uv.parent.mkdir()
    uv.write_text(_FAKE_UV.format(root=tmp_path))
    uv.chmod(uv.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{uv.parent}{os.pathsep}{os.environ['PATH']}")
    return tmp_path


def test_a_complete_environment_is_left_alone(root: Path) -> None:
    """A second start installs nothing."""
    main(root)
    main(root)

    assert (root / "calls").read_text() == "venv\npip\n"
    assert is_complete(root)


def test_a_changed_lock_is_installed(root: Path) -> None:
    """Another lock file makes the environment anew."""
    main(root)
    (root / "requirements.lock").write_text("one==2\n")
    assert not is_complete(root)

    main(root)

    assert (root / "calls").read_text() == "venv\npip\n" * 2


def test_an_install_cut_short_is_done_again(root: Path) -> None:
    """An environment without the stamp that is written last counts as none."""
    (root / ".venv" / "bin").mkdir(parents=True)
    (root / ".venv" / "bin" / "python").touch()
    assert not is_complete(root)

    main(root)

    assert is_complete(root)


def test_a_moved_checkout_is_installed_again(root: Path) -> None:
    """An environment holds its own path, so it does not survive a move."""
    main(root)
    moved = root.with_name("moved")
    root.rename(moved)

    assert not is_complete(moved)


def test_a_failed_install_is_not_stamped(root: Path) -> None:
    """Where the installer fails, the start fails, and the next one tries again."""
    (root / "bin" / "uv").write_text("#!/bin/sh\nexit 3\n")

    with pytest.raises(SystemExit, match="status 3"):
        main(root)

    assert not is_complete(root)


def test_two_starts_at_once_install_once(root: Path) -> None:
    """The second waits for the first and then finds the environment made."""
    (root / "bin" / "uv").write_text(_FAKE_UV.format(root=root) + "sleep 0.3\n")
    script = Path(main.__code__.co_filename)
    command = [sys.executable, str(script), str(root)]
    first = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    wait_until((root / "calls").exists, 10)
    second = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)

    _, said = second.communicate(timeout=20)
    first.communicate(timeout=20)

    assert (root / "calls").read_text() == "venv\npip\n"
    assert "waiting" in said


def test_every_package_is_checked_against_its_hash() -> None:
    """Neither installer accepts a package whose hash is not in the lock."""
    with_uv = install_commands(Path("/r"), uv="/usr/bin/uv", python="python3")
    with_pip = install_commands(Path("/r"), uv=None, python="python3")

    assert "--require-hashes" in with_uv[-1]
    assert "--require-hashes" in with_pip[-1]
