"""What the API says about jobs, from a read model made by hand."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from ingest_api.jobs.server_sent_events import event_id
from ingest_api.jobs.statuses import ANY_JOB, JobFilter, JobReader
from ingest_api.jobs.views import job_status
from schemas.events import JobCancelled, JobRestored, JobReverted
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
    from ingest_api.event_log.ledger import JobLedger
    from ingest_api.jobs.views import JobView
    from schemas.events import JobAccepted
    from tests.support.servers.surroundings import Ground

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
LEAVE_OUT = "UPDATE model.job SET state = 'REVERTED', version = version + 1 WHERE job_id = %s"
APPLY_AGAIN = "UPDATE model.job SET state = %s, version = version + 1 WHERE job_id = %s"
NO_COUNTS = """
UPDATE model.job_partition SET inserted = 0, updated = 0, unchanged = 0, rejected = 0
WHERE job_id = %s
"""
REVERTED_AT = datetime(2016, 6, 29, 1, 2, 3, tzinfo=UTC)
JOBS = (ACCEPTED, job(7, lines=1))
FAILED = """
INSERT INTO projection_instance
    (purpose, state, requested_by, reverted_job_ids, failure, result, started_at)
VALUES ('undo', 'failed', 'builder', %s, %s,
        '{"retry": {"failures": 2, "failedAt": "2026-01-02T03:04:05+00:00",
                    "nextTryAt": "2026-01-02T03:14:05+00:00"}}', now())
"""
ACTIVE = """
INSERT INTO projection_instance (purpose, state, requested_by, reverted_job_ids)
VALUES ('live', 'active', 'processor', %s)
"""
TRIED = """
INSERT INTO projection_instance (purpose, state, requested_by) VALUES ('undo', %s, 'builder')
"""


@pytest.fixture
def database(env: Ground) -> str:
    """A database with an empty read model."""
    make_read_model(env.conninfo)
    return env.conninfo


def status(conninfo: str) -> dict[str, Any]:
    """Of the first job."""
    return sent(job_status(view(conninfo, ledger_of(*JOBS))))


def view(conninfo: str, ledger: JobLedger) -> JobView:
    """Of the first job."""
    return ask(conninfo, lambda db: JobReader(db, ledger).view(ledger.jobs[0]))


def revert(ledger: JobLedger, job_id: int) -> None:
    """The next event of the log reverts the job."""
    event = JobReverted(
        job_id=job_id,
        attempt=f"reverted at {ledger.next_offset}",
        requested_at=REVERTED_AT,
        requested_by="zoe",
        inserted=10_000,
        updated=15,
        unchanged=4,
        rejected=1,
    )
    ledger.apply(ledger.next_offset, event)


def restore(ledger: JobLedger, job_id: int) -> None:
    """The next event of the log restores the job."""
    event = JobRestored(
        job_id=job_id,
        attempt=f"restored at {ledger.next_offset}",
        requested_at=REVERTED_AT,
        requested_by="zoe",
    )
    ledger.apply(ledger.next_offset, event)


def cancel(ledger: JobLedger, job_id: int) -> None:
    """The next event of the log cancels the job."""
    event = JobCancelled(
        job_id=job_id,
        attempt=f"cancelled at {ledger.next_offset}",
        requested_at=REVERTED_AT,
        requested_by="zoe",
    )
    ledger.apply(ledger.next_offset, event)


def listed(
    conninfo: str, *jobs: JobAccepted, wanted: JobFilter = ANY_JOB, start: int = 0, size: int = 20
) -> tuple[int, list[int]]:
    """The total and the ids of a page."""
    ledger = ledger_of(*jobs)
    reads = ask(conninfo, lambda db: JobReader(db, ledger).select_page(wanted, start, size))
    return reads[0], [view.accepted.job_id for view in reads[1]]


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


def test_an_undone_job_is_reverting_until_readers_see_the_audience_without_it(
    database: str,
) -> None:
    """It keeps the counts that it had, although no row of it is left to count."""
    ledger = ledger_of(*JOBS)
    open_job(database, ACCEPTED.job_id, "COMPLETED_WITH_ERRORS")
    revert(ledger, ACCEPTED.job_id)
    reverting = view(database, ledger)
    execute(database, LEAVE_OUT, ACCEPTED.job_id)
    execute(database, NO_COUNTS, ACCEPTED.job_id)
    reverted = view(database, ledger)

    assert (sent(job_status(reverting))["state"], sent(job_status(reverted))["state"]) == (
        "REVERTING",
        "REVERTED",
    )
    assert (reverting.is_ended, reverted.is_ended) == (False, True)
    assert sent(job_status(reverting))["statusMessage"] == "The import is being undone"
    assert sent(job_status(reverted))["statusMessage"] == "The import was undone"
    for each in (sent(job_status(reverting)), sent(job_status(reverted))):
        counts = [each[name] for name in ("inserted", "updated", "unchanged", "rejected", "total")]
        assert counts == [10_000, 15, 4, 1, 10_020]
        assert each["finishedDate"] == "06/28/2016 05:49:34 PM GMT"
        assert each["revertedDate"] == "06/29/2016 01:02:03 AM GMT"
        assert each["revertedBy"] == "zoe"
        assert each["estimatedFinishDate"] is None


def test_a_job_done_again_is_processing_until_readers_see_the_audience_with_it(
    database: str,
) -> None:
    """Then it is what it was."""
    ledger = ledger_of(*JOBS)
    open_job(database, ACCEPTED.job_id, "COMPLETED")
    execute(database, LEAVE_OUT, ACCEPTED.job_id)
    revert(ledger, ACCEPTED.job_id)
    restore(ledger, ACCEPTED.job_id)
    restoring = view(database, ledger)
    execute(database, APPLY_AGAIN, "COMPLETED", ACCEPTED.job_id)
    restored = view(database, ledger)

    assert (sent(job_status(restoring))["state"], sent(job_status(restored))["state"]) == (
        "PROCESSING",
        "COMPLETED",
    )
    assert (restoring.is_ended, restored.is_ended) == (False, True)
    assert sent(job_status(restoring))["finishedDate"] is None
    assert sent(job_status(restored))["finishedDate"] is not None
    assert sent(job_status(restoring))["revertedDate"] is None


@pytest.mark.parametrize("is_opened", [False, True])
def test_a_cancelled_job_is_cancelled_once_the_tables_leave_it_out(
    database: str, *, is_opened: bool
) -> None:
    """Also where its rows are still to come; it has no counts."""
    ledger = ledger_of(*JOBS)
    if is_opened:
        open_job(database, ACCEPTED.job_id, "PROCESSING")
    cancel(ledger, ACCEPTED.job_id)
    cancelling = view(database, ledger)
    execute(database, ACTIVE, [ACCEPTED.job_id])
    cancelled = view(database, ledger)

    def in_state(state: str) -> int:
        states = JobFilter(states=frozenset({state}))
        return ask(database, lambda db: JobReader(db, ledger).select_page(states, 0, 20))[0]

    assert (cancelling.state, cancelled.state) == ("CANCELLING", "CANCELLED")
    assert (cancelling.is_ended, cancelled.is_ended) == (False, True)
    assert event_id(cancelling) != event_id(cancelled)
    assert in_state("CANCELLED") == 1
    assert [in_state(state) for state in ("CANCELLING", "PROCESSING", "REVERTED")] == [0] * 3
    answer = sent(job_status(cancelled))
    assert answer["statusMessage"] == "The import was cancelled"
    assert (answer["cancelledDate"], answer["cancelledBy"]) == ("06/29/2016 01:02:03 AM GMT", "zoe")
    assert (answer["revertedDate"], answer["revertedBy"]) == (None, None)
    assert [answer[name] for name in ("inserted", "updated", "unchanged", "rejected")] == [0] * 4


def test_no_two_states_have_one_event_id(database: str) -> None:
    """What only the log says changes no version, and a client that comes again must see it."""
    ledger = ledger_of(*JOBS)
    open_job(database, ACCEPTED.job_id, "COMPLETED")
    seen = [event_id(view(database, ledger))]
    revert(ledger, ACCEPTED.job_id)
    seen.append(event_id(view(database, ledger)))
    execute(database, LEAVE_OUT, ACCEPTED.job_id)
    seen.append(event_id(view(database, ledger)))
    restore(ledger, ACCEPTED.job_id)
    seen.append(event_id(view(database, ledger)))
    execute(database, APPLY_AGAIN, "COMPLETED", ACCEPTED.job_id)
    seen.append(event_id(view(database, ledger)))

    assert len(set(seen)) == len(seen)


def test_a_job_that_waits_to_be_undone_says_why_the_last_try_failed(database: str) -> None:
    """In its status, in the list, and in the ids of its events; other jobs say nothing."""
    ledger = ledger_of(*JOBS)
    open_job(database, ACCEPTED.job_id, "COMPLETED")
    revert(ledger, ACCEPTED.job_id)
    before = view(database, ledger)
    execute(database, FAILED, [ACCEPTED.job_id, 99], "of another set of jobs")
    other = view(database, ledger)
    execute(database, FAILED, [ACCEPTED.job_id], "no room")
    failed = view(database, ledger)
    execute(database, TRIED, "building")
    tried = view(database, ledger)
    execute(database, "UPDATE projection_instance SET state = 'retired' WHERE state = 'building'")
    switched = view(database, ledger)

    assert [sent(job_status(each))["undoFailure"] for each in (before, other, switched)] == [
        None
    ] * 3
    assert sent(job_status(failed))["undoFailure"] == {
        "reason": "no room",
        "failures": 2,
        "date": "01/02/2026 03:04:05 AM GMT",
        "nextTryDate": "01/02/2026 03:14:05 AM GMT",
    }
    assert sent(job_status(failed))["statusMessage"].endswith(
        "the last try failed, and is made again"
    )
    assert sent(job_status(tried))["undoFailure"] == sent(job_status(failed))["undoFailure"] | {
        "nextTryDate": None
    }
    assert not failed.shows_as(before)
    assert not tried.shows_as(failed)
    assert len({event_id(each) for each in (before, failed, tried)}) == 3


def test_statuses_are_filtered_by_the_state_that_they_show(database: str) -> None:
    """Also where the log knows of an undo that the tables don't know yet, and the reverse."""
    jobs = [job(number) for number in range(1, 7)]
    for job_id in range(1, 6):
        open_job(database, job_id, "COMPLETED")
    for left_out in (2, 3):
        execute(database, LEAVE_OUT, left_out)

    def of(*wanted: str) -> list[int]:
        ledger = ledger_of(*jobs)
        for job_id in (1, 2, 3):
            revert(ledger, job_id)
        restore(ledger, 3)
        states = JobFilter(states=frozenset(wanted))
        total, views = ask(database, lambda db: JobReader(db, ledger).select_page(states, 0, 20))
        assert {sent(job_status(view))["state"] for view in views} <= set(wanted)
        assert total == len(views)
        return [view.accepted.job_id for view in views]

    assert of("REVERTING") == [1]
    assert of("REVERTED") == [2]
    assert of("PROCESSING") == [3]
    assert of("COMPLETED") == [5, 4]
    assert of("ACCEPTED") == [6]
    assert of("ACCEPTED", "REVERTED") == [6, 2]
    assert of("REVERTING", "COMPLETED", "PROCESSING") == [5, 4, 3, 1]
