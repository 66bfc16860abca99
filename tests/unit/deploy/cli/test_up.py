"""What `rollcall up` tells a person, once everything runs."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner
from structlog.testing import capture_logs

from deploy.api_client.client import Account
from deploy.cli.commands.stack import up
from deploy.cli.main import main
from schemas.runtime.disk import Disk

if TYPE_CHECKING:
    from collections.abc import Iterator

_MIB = 1 << 20
_FOLDER = Path("/data")


@pytest.fixture
def free_mib(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """What is free of a disk of 1000 MB, at each look."""
    free: list[int] = []

    def look(folder: Path) -> Disk:
        return Disk(folder, free.pop(0) * _MIB, 1000 * _MIB)

    monkeypatch.setattr(up.Disk, "of", look)
    yield free
    assert not free, "not all was looked at"


def test_a_disk_that_fills_up_is_told_at_each_step_once(free_mib: list[int]) -> None:
    """Nearly full, full, nearly full again, and room; nothing where it is as it was."""
    free_mib.extend([500, 90, 80, 10, 5, 70, 500, 500])
    watch = up.DiskWatch(_FOLDER)
    with capture_logs() as logs:
        for _ in range(8):
            watch.check()

    assert [line["event"] for line in logs] == [
        "The disk of /data is nearly full: 90 of 1,000 MB free.",
        "The disk of /data is full: 10 of 1,000 MB free.",
        "The disk of /data is nearly full: 70 of 1,000 MB free.",
        "The disk of /data has room again.",
    ]


@pytest.mark.parametrize(
    ("is_right", "told"),
    [
        (True, "Password: kept-one  (kept in /data/admin-password)"),
        (
            False,
            "Password: changed since; `rollcall accounts reset-password admin` sets another",
        ),
    ],
)
def test_a_password_is_printed_only_where_it_is_right(
    capsys: pytest.CaptureFixture[str], is_right: bool, told: str
) -> None:
    """Another one was set after it had been generated."""
    stack = SimpleNamespace(bootstrap_servers="127.0.0.1:1", conninfo="dbname=rollcall")
    running: Any = SimpleNamespace(
        url="http://127.0.0.1:8080",
        account=Account("admin", "kept-one"),
        password_path=_FOLDER / "admin-password",
        log_dir=_FOLDER / "logs",
        stack=stack,
        is_password_right=is_right,
    )
    up.print_running(running)
    assert told in capsys.readouterr().out.splitlines()


def test_a_folder_that_cannot_be_made_is_one_sentence() -> None:
    """No traceback for what whoever has typed it can mend."""
    result = CliRunner().invoke(main, ("up", "--data-dir", "/proc/rollcall"))

    assert result.exit_code == 2
    assert result.stderr == "Error: /proc/rollcall: No such file or directory\n"
