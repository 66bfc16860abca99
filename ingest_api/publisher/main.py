"""`python -m ingest_api.publisher`: appends accepted jobs, in their order, to `user-events`.

One publisher of the group works at a time.
It reads `job-events` from its beginning, because a pass names the job before
its own, and goes on from the offset that the group has committed.
A pass that fails in any way is made again, whole, and the next job waits for it.
A job that was never published, and that no try can publish, has failed after a while (see
:mod:`ingest_api.publisher.failing_jobs`): it is ended in every partition as it stands there,
and left out of all tables.
A job that does not end although the processors have read all of it is
published again, and with it all jobs after it (see :mod:`ingest_api.publisher.watchdog`).
Where its file is gone by then it is stepped over and stays as it is: it may be applied, and only
its status be lost, which the end of any job after it shows.
"""

from __future__ import annotations

import argparse
import os
import sys
import threading
import time
from bisect import bisect_left
from operator import attrgetter
from typing import TYPE_CHECKING, Final

import structlog
from confluent_kafka import KafkaException

from ingest_api.errors import (
    LeaseLostError,
    LogMismatchError,
    LogMovedError,
    LogTruncatedError,
    LogUnavailableError,
    PassFailedError,
    TopicSetupError,
)
from ingest_api.event_log.ledger import JobLedger
from ingest_api.kafka.log_moved import start_again
from ingest_api.kafka.log_setup import ensure_log, tell_unsigned
from ingest_api.kafka.upload_chunks import ChunkSource, stored_file
from ingest_api.publisher.consumer_lag import ConsumerLag
from ingest_api.publisher.failing_jobs import FailingJobs, append_failure, check_rules, failure_of
from ingest_api.publisher.lease import PublisherLease
from ingest_api.publisher.metrics import (
    FAILED_JOBS,
    HELD_UP,
    IS_LEADER,
    OVERDUE_JOBS,
    PUBLISH_SECONDS,
    PUBLISHED_ROWS,
    REFUSED_JOBS,
    WAITING_JOBS,
)
from ingest_api.publisher.pace import Pace
from ingest_api.publisher.pass_producer import PassProducer
from ingest_api.publisher.settings import PublisherSettings
from ingest_api.publisher.watchdog import Watchdog
from ingest_api.validation.phones import load_calling_codes
from schemas.clients.backoff import Backoff, Pauses
from schemas.clients.event_schemas import EventSchemas
from schemas.clients.outages import tell_outages
from schemas.clients.topic_follower import TopicFollower
from schemas.codec.registry_protocol import RegistryUnreachableError
from schemas.config.environment import SettingsError, read
from schemas.config.logs import configure_logging
from schemas.config.metrics import serve_metrics
from schemas.config.settings_help import settings_help
from schemas.config.unknown import warn_of_unknown_settings
from schemas.events import JobCancelled, JobStatus
from schemas.log.job_states import RUNNING_STATES
from schemas.runtime.essential import end_process_on_failure
from schemas.runtime.process import EXIT_REFUSED, EXIT_SETTINGS, stop_on_signals
from schemas.runtime.tracing import TRACES, Beginning

if TYPE_CHECKING:
    from ingest_api.event_log.ledger import LedgerJob
    from schemas.config.settings import Settings

_POLL_S: Final = 0.2
_CHUNK_TIMEOUT_S: Final = 3.0
_BACKOFF: Final = Backoff(first_s=0.1, longest_s=5.0)
_REFUSED_PAUSE_S: Final = 15.0
"""Between two tries of a job that can't be published, at most."""
_ANNOUNCED_PAUSE_S: Final = 1.0
"""Within it its failure is read back."""
_WATCH_INTERVAL_S: Final = 2.0
_TRANSIENT: Final = (
    KafkaException,
    PassFailedError,
    LogUnavailableError,
    LeaseLostError,
    RegistryUnreachableError,
)
"""Errors that a retry may mend."""
_log = structlog.stdlib.get_logger("rollcall.publisher")


class _StoppedError(Exception):
    """The process has been told to stop."""


class Publisher:
    """One member of the publishers' group, in the thread that calls :meth:`run`.

    ``_position`` is the job in the ledger that comes next, ``_frontier`` the
    first that was never published; they differ while jobs are published again.
    """

    def __init__(self, settings: PublisherSettings, stop: threading.Event) -> None:
        shared, topics = settings.shared, settings.shared.topics
        self._stop = stop
        self._shared = shared
        self._failing = FailingJobs(settings.give_up_s)
        self._refused_pause_s = min(_REFUSED_PAUSE_S, settings.give_up_s)
        self._schemas = schemas = EventSchemas(shared.schema_registry)
        self._ledger = JobLedger()
        self._watchdog = Watchdog(settings.watchdog_s, self._ledger.offset_of)
        self._jobs = TopicFollower(shared.kafka, topics.job_events, schemas, keyring=shared.keyring)
        # A job that was skipped could never be published: those behind it would have been opened.
        self._jobs.waits_for_later_versions = True
        self._statuses = TopicFollower(shared.kafka, topics.job_status, schemas)
        self._lease = PublisherLease(
            shared.kafka, f"{shared.group}-publisher", topics.job_events.name
        )
        self._lag = ConsumerLag(shared.kafka, topics.user_events, shared.group)
        self._chunks = ChunkSource(shared.kafka, topics.uploads.name, timeout_s=_CHUNK_TIMEOUT_S)
        self._producer = PassProducer(
            shared.kafka, topics.user_events, Pace(self._lag), shared.keyring
        )
        self._term = 0
        self._position = self._frontier = self._committed = 0
        self._watch_at_s = 0.0
        self._retry_at_s = 0.0

    def run(self) -> None:
        """Publish until told to stop.

        Raises:
            LogTruncatedError: the order of jobs cannot be known any more.
            LogMovedError: the log goes on in other topics.
        """
        self._producer.warm()
        load_calling_codes()
        try:
            self._run()
        finally:
            self.close()

    def _run(self) -> None:
        pauses = Pauses(_BACKOFF)
        while not self._stop.is_set():
            try:
                self._step()
                pauses.reset()
            except _StoppedError:
                break
            except _TRANSIENT as error:
                pause_s = pauses.next_s()
                HELD_UP.inc()
                _log.warning("publishing is held up", error=str(error), pause_s=pause_s)
                self._stop.wait(pause_s)

    def close(self) -> None:
        """Leave Kafka; another publisher takes over at once."""
        self._producer.discard()
        self._lease.close()
        for consumer in (self._chunks, self._jobs, self._statuses):
            consumer.close()

    def _step(self) -> None:
        self._producer.poll()
        self._read_events(0 if self._is_work_waiting() else _POLL_S)
        has_lease = self._has_lease()
        IS_LEADER.set(has_lease)
        WAITING_JOBS.set(len(self._ledger.jobs) - self._position if has_lease else 0)
        if not has_lease:
            return
        if self._is_work_waiting():
            job = self._ledger.jobs[self._position]
            with TRACES.span(_beginning(job)):
                self._publish(job)
        if self._frontier > self._committed:
            self._lease.commit(self._ledger.jobs[self._frontier - 1].offset + 1)
            self._committed = self._frontier
        self._watch(time.monotonic())

    def _is_work_waiting(self) -> bool:
        is_next_there = self._position < len(self._ledger.jobs)
        is_ours = self._lease.is_held and self._term == self._lease.term
        return is_ours and is_next_there and time.monotonic() >= self._retry_at_s

    def _read_events(self, timeout_s: float) -> None:
        for logged in self._jobs.poll(timeout_s):
            self._ledger.apply(logged.offset, logged.event, logged.traceparent)
            if isinstance(logged.event, JobCancelled):
                self._watchdog.renew_patience()  # a job that is overdue for long can be ended
        if self._jobs.first_offset:
            raise LogTruncatedError(
                f"job-events begins at offset {self._jobs.first_offset}: the jobs before it are"
                " gone, and with them the order of jobs. Set retention.ms=-1 on it, and restore it."
            )
        if (version := self._ledger.moves.moved_to) is not None:
            raise LogMovedError(version)
        for logged in self._statuses.poll(0):
            status = logged.event
            if isinstance(status, JobStatus) and status.state not in RUNNING_STATES:
                self._watchdog.note_end(status.job_id)

    def _has_lease(self) -> bool:
        """Return whether this publisher holds the lease; begin a new term where the last ended."""
        self._lease.poll()
        if not self._lease.is_held:
            return False
        if self._term == self._lease.term:
            return True
        if not (self._jobs.has_caught_up and self._statuses.has_caught_up):
            return False
        self._position = self._frontier = self._committed = self._first_position()
        for job in self._ledger.jobs[: self._position]:
            self._watchdog.watch(job)
        self._term = self._lease.term
        self._retry_at_s = 0.0
        _log.info("publishing begins", jobs=len(self._ledger.jobs), position=self._position)
        return True

    def _first_position(self) -> int:
        jobs = self._ledger.jobs
        next_offset = self._lease.next_offset()
        if next_offset is not None:
            return bisect_left(jobs, next_offset, key=attrgetter("offset"))
        # A group that has never published: what has ended was published by one before it.
        is_open = (not self._watchdog.has_ended(job) for job in jobs)
        return next((at for at, is_next in enumerate(is_open) if is_next), len(jobs))

    def _publish(self, job: LedgerJob) -> None:
        began_s = time.monotonic()
        try:
            rows = self._append_pass(job)
        except (_StoppedError, MemoryError, *_TRANSIENT):
            raise
        except Exception as error:  # noqa: BLE001 - whatever a pass raises, it raises each time
            self._note_refused(job, error)
            return
        self._failing.forget(job.accepted.job_id)
        is_repeat = self._position < self._frontier
        self._go_on()
        self._watchdog.watch(job)
        PUBLISHED_ROWS.labels(job.accepted.mode).inc(rows)
        PUBLISH_SECONDS.observe(time.monotonic() - began_s)
        _log.info(
            "job published",
            job_id=str(job.accepted.job_id),
            mode=job.accepted.mode,
            rows=rows,
            rejected=job.accepted.rejected_lines,
            is_repeat=is_repeat,
            seconds=round(time.monotonic() - began_s, 3),
        )

    def _go_on(self) -> None:
        self._position += 1
        self._frontier = max(self._frontier, self._position)

    def _append_pass(self, job: LedgerJob) -> int:
        if self._is_given_up(job.accepted.job_id):
            return self._producer.abandon(job, self._checkpoint)
        check_rules(job, self._schemas)
        file = self._chunks.open(stored_file(job.accepted))
        return self._producer.publish(job, file, self._checkpoint)

    def _is_given_up(self, job_id: int) -> bool:
        """Return whether the job ends whatever came of it: it has failed, or was cancelled.

        Of a cancelled job a whole pass comes first; where that did not end it, somebody else has
        sent rows in its name, and no other pass would either.
        """
        reverts, is_repeat = self._ledger.reverts, self._position < self._frontier
        return job_id in reverts.failed() or (is_repeat and job_id in reverts.cancelled())

    def _checkpoint(self) -> None:
        """Raise where the pass under way should end; whoever has the lease makes it again."""
        if self._stop.is_set():
            raise _StoppedError
        self._lease.poll()
        if not self._lease.is_held or self._lease.term != self._term:
            raise LeaseLostError("the group has given job-events to another publisher")

    def _note_refused(self, job: LedgerJob, error: Exception) -> None:
        """Let the job be tried again, stay as it is, or fail; it is ended once that is read."""
        REFUSED_JOBS.inc()
        TRACES.note_failure(repr(error))
        job_id, now_s = job.accepted.job_id, time.monotonic()
        _log.error("job cannot be published", job_id=str(job_id), error=repr(error), exc_info=error)
        if self._watchdog.has_ended(job):
            self._go_on()  # nothing is missing: what was committed is older than its end
        elif self._position < self._frontier:
            # The jobs behind it are published again all the same: if it was applied, they end.
            _log.warning("published job is left as it is", job_id=str(job_id))
            self._go_on()
        elif self._failing.has_failed(job_id, error, now_s) and not self._ledger.moves.is_held:
            self._fail(job_id, error)  # while the log is held, no record would count
            self._retry_at_s = now_s + _ANNOUNCED_PAUSE_S
        else:
            self._retry_at_s = now_s + self._refused_pause_s

    def _fail(self, job_id: int, error: Exception) -> None:
        self._checkpoint()  # a publisher that was frozen meanwhile decides nothing
        event = failure_of(job_id, error)
        append_failure(self._shared, event)
        FAILED_JOBS.inc()
        _log.error("job has failed", job_id=str(job_id), code=event.code, reason=event.reason)

    def _watch(self, now_s: float) -> None:
        """Go back to a job that is overdue, and publish it and all after it again."""
        if now_s < self._watch_at_s or not self._watchdog.is_watching:
            return
        self._watch_at_s = now_s + _WATCH_INTERVAL_S
        ends = self._lag.ends()
        job = self._watchdog.overdue(now_s, ends, self._lag.next_offsets())
        if job is not None:
            OVERDUE_JOBS.inc()
            _log.error("job is overdue, publishing again", job_id=str(job.accepted.job_id))
            self._position = bisect_left(self._ledger.jobs, job.offset, key=attrgetter("offset"))


def _beginning(job: LedgerJob) -> Beginning:
    told: dict[str, str | int] = {
        "rollcall.job_id": str(job.accepted.job_id),
        "rollcall.mode": job.accepted.mode,
        "rollcall.lines": job.accepted.lines,
    }
    return Beginning("publish", job.traceparent, "CONSUMER", attributes=told)


def main() -> None:
    """Publish until told to stop.

    Exit code 2 and a line for each mistake in the settings; 78 where settings and log don't fit.
    """
    _parse_arguments()
    configure_logging()
    warn_of_unknown_settings(os.environ)
    TRACES.start("publisher", os.environ)
    settings = _read_settings()
    end_process_on_failure()
    stop = threading.Event()
    stop_on_signals(stop)
    try:
        if _have_log(settings.shared, stop):
            Publisher(settings, stop).run()
    except LogTruncatedError as error:
        _log.critical("publisher cannot go on", error=str(error))
        sys.exit(1)
    except LogMovedError as moved:
        start_again(moved)
    except LogMismatchError as error:
        _log.critical("refused to start", reason=str(error))
        sys.exit(EXIT_REFUSED)
    _log.info("publisher stopped")


def _read_settings() -> PublisherSettings:
    try:
        settings = read(PublisherSettings, os.environ)
        serve_metrics(settings.shared.metrics)
        tell_outages(settings.shared)
    except SettingsError as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(EXIT_SETTINGS)
    return settings


def _parse_arguments() -> None:
    summary, _, description = (__doc__ or "").partition("\n")
    argparse.ArgumentParser(
        prog="python -m ingest_api.publisher",
        description=summary + description,
        epilog=settings_help(PublisherSettings),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    ).parse_args()


def _have_log(settings: Settings, stop: threading.Event) -> bool:
    """Wait until the log is set up; return False if stopped before."""
    pauses = Pauses(_BACKOFF)
    while not stop.is_set():
        try:
            if ensure_log(settings):
                tell_unsigned(settings)
        except TopicSetupError as error:
            pause_s = pauses.next_s()
            _log.warning("topics are not usable yet", error=str(error), pause_s=pause_s)
            stop.wait(pause_s)
        else:
            return True
    return False
