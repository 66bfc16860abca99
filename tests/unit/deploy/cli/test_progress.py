"""How far something long has come, on a terminal and in a log file."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from deploy.cli.output import progress
from deploy.cli.output.job_progress import job_text
from deploy.cli.output.progress import duration_text, rated_text, reported


def test_a_job_tells_lines_speed_time_left_and_rejected_lines() -> None:
    """One that waits says so; one without rejected lines doesn't speak of them."""
    running = {"state": "PROCESSING", "total": 9000, "inserted": 2000, "rowsPerSecond": 100.0}
    assert job_text(running) == "2,000/9,000 lines, 100/s, 70 s left"
    rejecting = running | {"rejected": 1000}
    assert job_text(rejecting) == "3,000/9,000 lines, 100/s, 60 s left, 1,000 rejected"
    assert job_text({"state": "ACCEPTED", "total": 1}) == "1 line, waiting for its turn"


def test_nothing_done_has_no_speed() -> None:
    """Nor has what is done a time that is left."""
    assert rated_text(0, 9, "records", 5.0) == "0/9 records"
    assert rated_text(9, 9, "records", 5.0) == "9/9 records, 5/s"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.4, "0 s"), (99.4, "99 s"), (239, "4 min"), (3600, "1 h 0 min"), (7_260, "2 h 1 min")],
)
def test_times_are_as_people_say_them(seconds: float, text: str) -> None:
    """Seconds, minutes, hours."""
    assert duration_text(seconds) == text


def _told(console: Console, times: int) -> str:
    with reported(console, "Import [b]users.csv[/b]") as report:
        for done in range(times):
            report.show(done, times, f"{done}/{times} lines")
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_a_terminal_has_a_bar() -> None:
    """With per cent and all that is told; a file's name is no markup."""
    shown = _told(Console(file=io.StringIO(), force_terminal=True, width=80), 2)
    assert "Import [b]users.csv[/b]" in shown
    assert "50%" in shown
    assert "1/2 lines" in shown


def test_a_log_file_has_a_line_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    """None of what is over before the first is due."""
    assert _told(Console(file=io.StringIO(), width=80), 3) == ""
    monkeypatch.setattr(progress, "_LINE_EVERY_S", 0.0)
    assert _told(Console(file=io.StringIO(), width=80), 1) == "Import [b]users.csv[/b]: 0/1 lines\n"
