"""What the API says about jobs, from a read model made by hand."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from ingest_api.job_reads import ANY_JOB, JobFilter, JobReads
from tests.read_model_rows import ACCEPTED, ask, execute, job, ledger_of, make_read_model

if TYPE_CHECKING:
    from schemas.events import JobAccepted
    from tests.surroundings import Ground

JOB = """
INSERT INTO model.job (job_id, mode, lines, file_name, sha256, accepted_at, accepted_by,
                       started_at, finished_at, state)
VALUES (%s, 'insert', 10020, 'users.csv', 'aa', '2016-06-28 17:49:23Z', 'admin',
        '2016-06-28 17:49:24Z', %s, %s)
"""
COUNTS = """
INSERT INTO model.job_partition (job_id, partition, inserted, updated, unchanged, rejected,
                                 opened_offset, opened_at)
VALUES (%s, 0, 5000, 10, 0, 0, 0, now()), (%s, 1, 5000, 5, 4, 1, 0, now())
"""
JOBS = (ACCEPTED, job(7, lines=1))


@pytest.fixture
def database(env: Ground) -> str:
    """A database with an empty read model."""
    make_read_model(env.conninfo)
    return env.conninfo


def status(conninfo: str) -> dict[str, Any]:
    """Of the first job."""
    ledger = ledger_of(*JOBS)
    return ask(conninfo, lambda store: JobReads(store, ledger).view(ledger.jobs[0])).status


def listed(
    conninfo: str, *jobs: JobAccepted, wanted: JobFilter = ANY_JOB, start: int = 0, size: int = 20
) -> tuple[int, list[int]]:
    """The total and the ids of a page."""
    ledger = ledger_of(*jobs)
    page = ask(conninfo, lambda store: JobReads(store, ledger).select_page(wanted, start, size))
    return page["total"], [int(status["id"]) for status in page["statuses"]]


def open_job(conninfo: str, job_id: int, state: str) -> None:
    """The job as the processor has it, with its counts in two partitions."""
    finished_at = None if state == "PROCESSING" else "2016-06-28 17:49:34Z"
    execute(conninfo, JOB, job_id, finished_at, state)
    execute(conninfo, COUNTS, job_id, job_id)


@pytest.mark.parametrize(
    ("state", "message"),
    [
        ("PROCESSING", "File uploaded successfully, import is in progress."),
        ("COMPLETED", "Successfully uploaded requests of count :10020"),
        ("COMPLETED_WITH_ERRORS", "Uploaded file has got errors"),
    ],
)
def test_a_status_says_how_far_the_job_is(database: str, state: str, message: str) -> None:
    """In the contract's words, with its counts added up over the partitions."""
    open_job(database, ACCEPTED.job_id, state)
    found = status(database)
    assert (found["state"], found["statusMessage"]) == (state, message)
    assert found["importedDate"] == "06/28/2016 05:49:23 PM GMT"
    assert found["id"] == str(2**62)
    counts = [found[name] for name in ("inserted", "updated", "unchanged", "rejected", "total")]
    assert counts == [10_000, 15, 4, 1, 10_020]
    assert found["startedDate"] == "06/28/2016 05:49:24 PM GMT"
    if state != "PROCESSING":
        assert found["rowsPerSecond"] == 1002.0
        assert found["finishedDate"] == "06/28/2016 05:49:34 PM GMT"
    assert (found["estimatedFinishDate"] is None) == (state != "PROCESSING")


def test_a_job_that_no_processor_has_opened_is_accepted(database: str, env: Ground) -> None:
    """Also where there is no read model at all."""
    assert status(database)["state"] == "ACCEPTED"
    with psycopg.connect(env.conninfo, autocommit=True) as connection:
        connection.execute("DROP SCHEMA model CASCADE")
    assert status(database)["state"] == "ACCEPTED"
    accepted = JobFilter(states=frozenset({"ACCEPTED"}))
    assert listed(database, *JOBS, wanted=accepted) == (2, [7, 2**62])
    processing = JobFilter(states=frozenset({"PROCESSING"}))
    assert listed(database, *JOBS, wanted=processing) == (0, [])


def test_statuses_are_listed_newest_first(database: str) -> None:
    """By their order in the log, whatever their clocks said."""
    assert listed(database, *JOBS) == (2, [7, 2**62])


def test_a_page_has_as_many_statuses_as_asked_for(database: str) -> None:
    """Where there are that many; beyond the end it is empty."""
    jobs = [job(number) for number in range(1, 12)]
    assert listed(database, *jobs, size=4) == (11, [11, 10, 9, 8])
    assert listed(database, *jobs, start=8, size=4) == (11, [3, 2, 1])
    assert listed(database, *jobs, start=10**9) == (11, [])
    assert listed(database, *jobs, start=2**63 - 1) == (11, [])


def test_statuses_are_filtered_by_state(database: str) -> None:
    """Wherever the state is known from: the log, or the read model; the total is of all that fit.

    Of several states any will do.
    """
    jobs = [job(number) for number in range(1, 9)]
    states = ("COMPLETED", "COMPLETED_WITH_ERRORS", "COMPLETED", "PROCESSING", "PROCESSING")
    for job_id, state in enumerate(states, start=1):
        open_job(database, job_id, state)

    def of(*wanted: str, start: int = 0, size: int = 20) -> tuple[int, list[int]]:
        states = JobFilter(states=frozenset(wanted))
        return listed(database, *jobs, wanted=states, start=start, size=size)

    assert of("COMPLETED") == (2, [3, 1])
    assert of("COMPLETED", "COMPLETED_WITH_ERRORS") == (3, [3, 2, 1])
    assert of("ACCEPTED") == (3, [8, 7, 6])
    assert of("ACCEPTED", "PROCESSING", start=2, size=2) == (5, [6, 5])
    assert of("REVERTED") == (0, [])


def test_statuses_are_filtered_by_mode_and_account(database: str) -> None:
    """A job must fit each of the filters."""
    jobs = [
        job(1, mode="upsert"),
        job(2, accepted_by="token/nightly"),
        job(3, mode="upsert", accepted_by="token/nightly"),
        job(4, mode="delsert", accepted_by="zoe"),
    ]
    open_job(database, 3, "COMPLETED")
    upserts = frozenset({"upsert"})
    assert listed(database, *jobs, wanted=JobFilter(modes=upserts)) == (2, [3, 1])
    by_token = frozenset({"token/nightly"})
    assert listed(database, *jobs, wanted=JobFilter(accounts=by_token)) == (2, [3, 2])
    both = JobFilter(modes=upserts, accounts=by_token, states=frozenset({"COMPLETED"}))
    assert listed(database, *jobs, wanted=both) == (1, [3])
    either = JobFilter(modes=frozenset({"upsert", "delsert"}))
    assert listed(database, *jobs, wanted=either) == (3, [4, 3, 1])
