"""A job is published again where the log lost it, and not where the processors are only slow."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ingest_api.event_log.ledger import JobLedger
from ingest_api.publisher.watchdog import Watchdog
from tests.support.models.file_oracle import accepted_job

if TYPE_CHECKING:
    from ingest_api.event_log.ledger import LedgerJob


def accept(ledger: JobLedger, count: int) -> list[LedgerJob]:
    """Jobs in their order, whose ids are in another."""
    for number in range(count):
        ledger.apply(number, accepted_job(job_id=count - number, attempt=str(number)))
    return list(ledger.jobs)


def watched(count: int, patience_s: float = 30) -> tuple[Watchdog, list[LedgerJob]]:
    """A watchdog that knows of so many jobs in their order, and the jobs."""
    ledger = JobLedger()
    return Watchdog(patience_s, ledger.offset_of), accept(ledger, count)


def test_a_job_read_to_its_end_and_not_complete_is_overdue() -> None:
    """RetryPolicy begins when the processors have passed the end of the pass."""
    watchdog, [job] = watched(1)
    watchdog.watch(job)

    asked = [
        watchdog.overdue(0, [10, 10], [3, 4]),
        watchdog.overdue(100, [10, 10], [10, 9]),
        watchdog.overdue(200, [12, 12], [10, 10]),
        watchdog.overdue(229, [12, 12], [12, 12]),
        watchdog.overdue(230, [12, 12], [12, 12]),
    ]

    assert asked == [None, None, None, None, job]


def test_a_processor_that_does_not_run_makes_nothing_overdue() -> None:
    """However long it takes, what has not been read yet is not lost."""
    watchdog, [job] = watched(1)
    watchdog.watch(job)

    assert all(watchdog.overdue(day * 86400, [10], [9]) is None for day in range(10))


def test_a_job_that_has_ended_is_watched_no_more() -> None:
    """The status may come before or after the job is watched."""
    watchdog, [one, two] = watched(2)
    watchdog.watch(one)
    watchdog.note_end(one.accepted.job_id)
    watchdog.note_end(two.accepted.job_id)
    watchdog.watch(two)

    assert not watchdog.is_watching
    assert watchdog.overdue(1000, [1], [1]) is None


def test_the_end_of_a_job_shows_that_those_before_it_have_ended() -> None:
    """Their own statuses may be lost: none is published again, and those after it are watched."""
    watchdog, [one, two, three, four] = watched(4)
    for job in (one, two, three, four):
        watchdog.watch(job)
    watchdog.note_end(three.accepted.job_id)

    ended = [watchdog.has_ended(job) for job in (one, two, three, four)]
    watchdog.watch(two)
    watchdog.overdue(0, [5], [5])

    assert ended == [True, True, True, False]
    assert watchdog.overdue(31, [5], [5]) is four


def test_an_end_that_is_read_before_its_job_counts_once_the_job_is_read() -> None:
    """Statuses are in another topic than jobs, and may be read first."""
    ledger = JobLedger()
    watchdog = Watchdog(30, ledger.offset_of)
    watchdog.note_end(1)
    [one, two] = accept(ledger, 2)
    watchdog.watch(one)

    assert two.accepted.job_id == 1
    assert watchdog.has_ended(one)
    assert not watchdog.is_watching


def test_the_first_job_is_overdue_before_those_that_follow() -> None:
    """Later jobs wait for it in every partition, so all is published again from there."""
    watchdog, [one, two] = watched(2)
    watchdog.watch(one)
    watchdog.watch(two)

    watchdog.overdue(0, [5], [5])

    assert watchdog.overdue(31, [5], [5]) is one


def test_patience_grows_with_each_repeat() -> None:
    """A job that can never be completed does not fill the log."""
    watchdog, [job] = watched(1, patience_s=10)
    watchdog.watch(job)

    repeats = [now for now in range(10_000) if watchdog.overdue(now, [1], [1])]

    assert repeats[0] == 10
    assert len(repeats) < 12


def test_patience_is_renewed_where_more_can_be_done() -> None:
    """A job that was overdue for days, and is cancelled, need not wait for an hour to be ended."""
    watchdog, [job] = watched(1, patience_s=10)
    watchdog.watch(job)
    last_s = max(now for now in range(10_000) if watchdog.overdue(now, [1], [1]))

    watchdog.renew_patience()
    asked = [watchdog.overdue(last_s + after_s, [1], [1]) for after_s in (1, 10, 11)]

    assert asked == [None, None, job]
