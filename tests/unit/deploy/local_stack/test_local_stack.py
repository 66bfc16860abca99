"""Parts of the local stack that need no server."""

from pathlib import Path

import pytest

from deploy.local_stack import data_dir
from deploy.local_stack.data_dir import DataDir, DataDirInUseError, DataDirLock, write_private
from deploy.local_stack.java import parse_major_version
from deploy.local_stack.postgres import open_way_to
from deploy.local_stack.rollcall import admin_password


@pytest.mark.parametrize(
    ("printed", "version"),
    [
        ('openjdk version "25.0.2" 2026-01-20 LTS', 25),
        ('openjdk version "17" 2021-09-14', 17),
        ('java version "1.8.0_392"', 8),
        ("The operation couldn't be completed. Unable to locate a Java Runtime.", 0),
    ],
)
def test_java_versions(printed: str, version: int) -> None:
    """A Java's feature release is told from what it prints."""
    assert parse_major_version(printed) == version


def test_a_folder_in_use_names_who_uses_it(tmp_path: Path) -> None:
    """The second lock on a folder fails; it succeeds once the first is free."""
    with DataDirLock(tmp_path), pytest.raises(DataDirInUseError, match=r"in use by process \d+"):
        DataDirLock(tmp_path).__enter__()

    with DataDirLock(tmp_path):
        pass


def test_secrets_are_readable_by_their_owner_only(tmp_path: Path) -> None:
    """A file with a password is never there with wider permissions, nor half written."""
    path = tmp_path / "secret"
    write_private(path, "first")
    write_private(path, "second")

    assert path.read_text() == "second"
    assert path.stat().st_mode & 0o777 == 0o600


def test_the_password_is_generated_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second start of a folder has the password of the first, unless it is told one."""
    monkeypatch.delenv("ROLLCALL_ADMIN_PASSWORD", raising=False)
    first = admin_password(DataDir(tmp_path))

    assert admin_password(DataDir(tmp_path)) == first
    monkeypatch.setenv("ROLLCALL_ADMIN_PASSWORD", "given-to-it")
    assert admin_password(DataDir(tmp_path)) == ("given-to-it", None)


def test_a_log_that_has_grown_long_is_put_aside_while_it_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its writer goes on in it; what is short stays as it is."""
    monkeypatch.setattr(data_dir, "_LONGEST_LOG_BYTES", 10)
    folder = DataDir(tmp_path)
    folder.logs.mkdir()
    (folder.logs / "short.log").write_text("short")
    with (folder.logs / "kafka.out").open("ab", buffering=0) as log:
        log.write(b"a long line\n")
        folder.rotate_logs()
        log.write(b"next\n")

    found = {path.name: path.read_text() for path in folder.logs.iterdir()}
    assert found == {"short.log": "short", "kafka.out": "next\n", "kafka.out.1": "a long line\n"}


def test_a_way_is_opened_for_passing_through_only(tmp_path: Path) -> None:
    """Other users may pass through the folders above, and list none of them."""
    inner = tmp_path / "private" / "inner"
    inner.mkdir(parents=True)
    inner.parent.chmod(0o700)
    inner.chmod(0o700)

    open_way_to(inner)

    assert inner.parent.stat().st_mode & 0o777 == 0o701
    assert inner.stat().st_mode & 0o777 == 0o700
