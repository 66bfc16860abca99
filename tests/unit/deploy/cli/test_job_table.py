"""The table of jobs: what it shows at which width."""

from __future__ import annotations

import io
from typing import Any, get_args

import pytest
from rich.console import Console

from deploy.cli.output.job_table import print_jobs
from schemas.events import JobState


def job(**changed: Any) -> dict[str, Any]:
    """A job's status, as far as the table reads it."""
    return {
        "id": "5889218372019237411", "fileName": "customers-2026-11.csv", "mode": "upsert",
        "state": "COMPLETED", "total": 50_000, "inserted": 49_000, "updated": 900,
        "unchanged": 90, "rejected": 10, "deleted": 0, "importedBy": "marketing",
        "importedDate": "11/29/2015 05:56:36 PM GMT", "revertedBy": None,
    } | changed  # fmt: skip


JOBS = [
    job(state="COMPLETED_WITH_ERRORS"),
    job(mode="delsert", fileName="half of all our customers in one file.csv", deleted=49_492),
    job(mode="delsert", state="REVERTED", revertedBy="admin", fileName=None, deleted=7),
]


def printed(width: int, jobs: list[dict[str, Any]]) -> list[str]:
    """The table's lines on a terminal of this width."""
    text = io.StringIO()
    print_jobs(Console(file=text, width=width), "3 jobs", jobs)
    return text.getvalue().splitlines()


@pytest.mark.parametrize("width", [60, 80, 100, 160, 200])
def test_a_job_is_one_line_that_fits(width: int) -> None:
    """Whatever there is no room for is left out, and nothing is broken."""
    lines = printed(width, JOBS)
    assert len(lines) == 2 + len(JOBS)
    assert all(len(line) <= width for line in lines)
    assert all("5889218372019237411" in line for line in lines[2:])


def test_eighty_columns_say_what_counts() -> None:
    """The file, the job, how it ended, how many users are gone, when, and who undid it."""
    titles, first, delsert, undone = printed(80, JOBS)[1:]
    assert titles.split("  ")[0] == "file"
    name, *rest = first.split()
    assert name.startswith("customers-")
    assert rest == ["5889218372019237411", "errors", "2015-11-29"]
    assert [word in delsert for word in ("half of all", "done", "49,492")] == [True] * 3
    assert undone.split() == [
        "-", "5889218372019237411", "undone", "admin", "7", "2015-11-29",
    ]  # fmt: skip


def test_a_wide_terminal_has_every_column() -> None:
    """Where there is room, nothing is left out but what no job has anything in."""
    titles = printed(200, JOBS)[1]
    counts = ("lines", "inserted", "updated", "unchanged", "rejected", "deleted")
    assert all(name in titles for name in ("mode", "undone by", *counts, "by"))
    plain = printed(200, [job()])[1]
    assert not any(name in plain for name in ("undone by", "deleted"))


@pytest.mark.parametrize("state", get_args(JobState))
def test_states_are_short_words(state: str) -> None:
    """Each state has one."""
    line = printed(160, [job(state=state)])[-1]
    assert state not in line
