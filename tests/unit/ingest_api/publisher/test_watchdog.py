"""A job is published again where the log lost it, and not where the processors are only slow."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ingest_api.event_log.ledger import JobLedger
from ingest_api.publisher.watchdog import Watchdog
from tests.support.models.file_oracle import accepted_job

if TYPE_CHECKING:
    from ingest_api.event_log.ledger import LedgerJob


def jobs(count: int) -> list[LedgerJob]:
    """Jobs in their order."""
    ledger = JobLedger()
    for number in range(count):
        ledger.apply(number, accepted_job(job_id=number + 1, attempt=str(number)))
    return list(ledger.jobs)


def test_a_job_read_to_its_end_and_not_complete_is_overdue() -> None:
    """RetryPolicy begins when the processors have passed the end of the pass."""
    (job,) = jobs(1)
    watchdog = Watchdog(30)
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
    watchdog = Watchdog(30)
    watchdog.watch(jobs(1)[0])

    assert all(watchdog.overdue(day * 86400, [10], [9]) is None for day in range(10))


def test_a_complete_job_is_watched_no_more() -> None:
    """The status may come before or after the job is watched."""
    one, two = jobs(2)
    watchdog = Watchdog(30)
    watchdog.complete(two.accepted.job_id)
    watchdog.watch(one)
    watchdog.watch(two)
    watchdog.complete(one.accepted.job_id)

    assert not watchdog.is_watching
    assert watchdog.overdue(1000, [1], [1]) is None


def test_the_first_job_is_overdue_before_those_that_follow() -> None:
    """Later jobs wait for it in every partition, so all is published again from there."""
    one, two = jobs(2)
    watchdog = Watchdog(30)
    watchdog.watch(one)
    watchdog.watch(two)

    watchdog.overdue(0, [5], [5])

    assert watchdog.overdue(31, [5], [5]) is one


def test_patience_grows_with_each_repeat() -> None:
    """A job that can never be completed does not fill the log."""
    (job,) = jobs(1)
    watchdog = Watchdog(10)
    watchdog.watch(job)

    repeats = [now for now in range(10_000) if watchdog.overdue(now, [1], [1])]

    assert repeats[0] == 10
    assert len(repeats) < 12
