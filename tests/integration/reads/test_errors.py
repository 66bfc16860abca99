"""The lines of a job that were refused, from a read model made by hand."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from ingest_api.jobs.errors import ErrorReader
from ingest_api.jobs.statuses import JobReader
from ingest_api.openapi.response_types import FaultCount
from ingest_api.web.paging import Page
from tests.support.clients.answers import sent
from tests.support.data.read_model_rows import (
    ACCEPTED,
    ask,
    execute,
    job,
    ledger_of,
    make_read_model,
)

if TYPE_CHECKING:
    from ingest_api.postgres.pool import Database
    from tests.support.servers.surroundings import Ground

JOB = """
INSERT INTO model.job (job_id, mode, lines, sha256, accepted_at, accepted_by, started_at)
VALUES (%s, 'insert', 10020, 'aa', now(), 'admin', now())
"""
COUNTS = """
INSERT INTO model.job_partition (job_id, partition, rejected, opened_offset, opened_at)
VALUES (%s, 0, 20, 0, now()), (%s, 1, 10, 0, now())
"""
REJECTIONS = """
INSERT INTO model.rejection (job_id, record_number, line, "column", code, reason, value, raw)
SELECT %s, n * 10, n * 10 + 1, 'Email', 'KEY_EXISTS',
       'Email is being used for one of the audience members.', 'a@b.co', %s
FROM generate_series(1, 30) AS n
"""
END = "UPDATE model.job SET state = 'COMPLETED_WITH_ERRORS', finished_at = now()"
NEXT_VERSION = "UPDATE model.job SET version = version + 1"
LEDGER = ledger_of(ACCEPTED, job(7))


@pytest.fixture
def database(env: Ground) -> str:
    """A read model with a job of thirty refused lines: 10, 20, … 300."""
    make_read_model(env.conninfo)
    execute(env.conninfo, JOB, ACCEPTED.job_id)
    execute(env.conninfo, COUNTS, ACCEPTED.job_id, ACCEPTED.job_id)
    execute(env.conninfo, REJECTIONS, ACCEPTED.job_id, "A,B,a@b.co")
    return env.conninfo


def page(conninfo: str, index: int = 0, **of: int) -> dict[str, Any]:
    """A page of the errors of the job with this index."""
    asked = Page(**of)
    found = ask(
        conninfo,
        lambda db: ErrorReader(db, LEDGER.reverts).select_page(LEDGER.jobs[index], asked),
    )
    return sent(found)


def test_errors_are_as_the_contract_has_them(database: str) -> None:
    """Each with an id of its own, its line, and the contract's message."""
    found = page(database, start=9, size=1)
    assert found == {
        "total": 30,
        "Errors": [
            {
                "id": 3 * 2**31 + 100,
                "errorMessage": (
                    "Line 100,A,B,a@b.co,Email is being used for one of the audience members."
                ),
                "line": 101,
                "column": "Email",
                "code": "KEY_EXISTS",
                "value": "a@b.co",
                "reason": "Email is being used for one of the audience members.",
                "faults": [
                    {
                        "column": "Email",
                        "code": "KEY_EXISTS",
                        "reason": "Email is being used for one of the audience members.",
                        "value": "a@b.co",
                    }
                ],
            }
        ],
    }
    assert page(database, index=1) == {"total": 0, "Errors": []}


@pytest.mark.parametrize("start", [0, 1, 14, 15, 16, 28, 29, 30, 10**9, 2**63 - 1])
def test_errors_are_paged_by_index(database: str, start: int) -> None:
    """In the order of the file, from whichever end is nearer."""
    expected = [number * 10 + 1 for number in range(1, 31)][start : start + 5]
    found = page(database, start=start, size=5)
    assert found["total"] == 30
    assert [error["line"] for error in found["Errors"]] == expected


def test_errors_are_paged_by_key(database: str) -> None:
    """Those after ``Line n``, also where n was not refused; an index counts from there."""

    def lines(**of: int) -> list[int]:
        found = page(database, **of)
        assert found["total"] == 30
        return [error["line"] for error in found["Errors"]]

    assert lines(after=40, size=2) == [51, 61]
    assert lines(after=45, size=2) == [51, 61]
    assert lines(after=45, start=2, size=2) == [71, 81]
    assert lines(after=290) == [301]
    assert lines(after=290, start=1) == []
    assert lines(after=2**63 - 1) == []


def test_a_page_has_a_bounded_size(database: str) -> None:
    """All its lines, of which the later ones are cut off where they are very long."""
    execute(database, "DELETE FROM model.rejection")
    execute(database, REJECTIONS, ACCEPTED.job_id, "x" * 400_000)
    execute(database, "UPDATE model.rejection SET raw = 'short' WHERE record_number = 290")
    sizes = [len(error["errorMessage"]) for error in page(database, size=30)["Errors"]]
    assert len(sizes) == 30
    assert sum(size > 400_000 for size in sizes) == 20
    assert sum(sizes) < 9_000_000
    last, before_last = (page(database, start=at, size=1)["Errors"][0] for at in (29, 28))
    assert len(last["errorMessage"]) > 400_000
    assert before_last["errorMessage"].startswith("Line 290,short,Email")


def test_lines_come_in_pieces_of_bounded_size(database: str) -> None:
    """However long they are, and at least one at a time."""
    execute(database, "DELETE FROM model.rejection")
    execute(database, REJECTIONS, ACCEPTED.job_id, "x" * 400_000)

    def lines(after: int) -> list[int]:
        rows = ask(
            database,
            lambda db: ErrorReader(db, LEDGER.reverts).select_lines(LEDGER.jobs[0], after),
        )
        return [row["record_number"] for row in rows]

    assert lines(0) == [10, 20, 30]
    assert lines(30) == [40, 50, 60]
    assert lines(290) == [300]
    assert lines(300) == []


def test_what_lines_were_rejected_for_is_counted_once_for_each_version_of_a_job(
    database: str,
) -> None:
    """Who asks again is answered without reading the rejections again, until the job changes."""
    execute(database, END)

    async def counted(db: Database) -> list[object]:
        reader = JobReader(db, LEDGER)
        answers: list[object] = []
        for change in ("SELECT 1", "DELETE FROM model.rejection", NEXT_VERSION):
            execute(database, change)
            answers.append(await reader.fault_counts(await reader.view(LEDGER.jobs[0])))
        return answers

    told = [FaultCount(code="KEY_EXISTS", column="Email", count=30)]
    assert ask(database, counted) == [told, told, []]
