"""Undo a job, redo an undone one, or cancel one that runs, by an event in the log, which decides.

``JobReverted`` says that a job counts as if it had never run, ``JobRestored``
that it counts again, ``JobCancelled`` what ``JobReverted`` says, for good and
of a job that has not ended.  Once one of them is in `job-events`, and is the
one that decided, the answer is given: the builder of the projection sees it
there, makes the tables that follow from it beside those in use, and switches by
itself.  An undo of a job that has not ended is queued there: see
:mod:`ingest_api.undo.queue`.

A request is refused where nothing would be changed, where a build is at work
that could end in a switch, or where the log's first records are gone, so that no
tables can be made.
A change that is not yet built can always be taken back: that needs no tables.
Between that check and the event another may come first; then the log decides.
"""

from __future__ import annotations

import contextlib
import hashlib
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, Literal

from ingest_api.errors import (
    ConflictError,
    LogUnavailableError,
    StoreUnavailableError,
    UnavailableError,
)
from ingest_api.event_log.user_events import NOTHING_KEPT
from schemas.events import JobCancelled, JobRestored, JobReverted, UndoQueued
from schemas.log.job_states import COUNTS_AND_NOTES
from schemas.read_model.tables import HIDE_CANCELLED

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ingest_api.event_log.job_events import JobLog, RevertOutcome
    from ingest_api.event_log.ledger import LedgerJob
    from ingest_api.jobs.statuses import JobReader
    from ingest_api.jobs.views import JobView
    from ingest_api.kafka.log_start import LogStartCheck
    from ingest_api.postgres.pool import Database
    from schemas.events import JobState
    from schemas.log.reverts import ChangeEvent

Change = Literal["undo", "redo", "cancel"]
"""``undo``, ``cancel``: the job counts as if it had never run; ``redo``: it counts again."""

_OUTCOME_UNKNOWN: Final = (
    "Kafka can't be reached: it is not known whether the {change} was taken."
    " A retry with the same Idempotency-Key is safe"
)
_NOT_ENDED: Final = (
    "The job has not ended, it is {state}: wait until its status says that it has to see what an"
    " undo would do; an undo that nobody looks at first is queued"
)
_IN_STATE: Final[dict[JobState, str]] = {
    "REVERTING": "The job is being undone already",
    "REVERTED": "The job was undone already",
    "CANCELLING": "The job is being cancelled already",
    "CANCELLED": "The job was cancelled already",
    "FAILED": "The job failed: nothing of it counts",
}
_QUEUED: Final = "The undo of the job is queued: wait until the job has ended and is undone"
_NOT_REVERTED: Final = "The job is not undone, it is {state}: there is nothing to do again"
_CANCELLED: Final = "The job was cancelled, for good: upload its file again"
_FAILED: Final = "The job failed, for good: upload its file again"
_FOR_GOOD: Final = {"CANCELLING": _CANCELLED, "CANCELLED": _CANCELLED, "FAILED": _FAILED}
_HAS_ENDED: Final = (
    "The job has ended, it is {state}: nothing is left to cancel, but it can be undone"
)
_OTHER_CAME_FIRST: Final = "The same was asked for at this instant, and came first"
_AT_WORK: Final = (
    "The projection {number} ({purpose}) is being built, {percent} % of it is done:"
    " try again when it has ended"
)
_PREFIX_CHARACTERS: Final = 32
_TYPES: Final = {
    "undo": (UndoQueued, JobReverted),
    "redo": (JobRestored,),
    "cancel": (JobCancelled,),
}


@dataclass(frozen=True, slots=True)
class Requester:
    """The account that requests a change, and its ``Idempotency-Key``, if any."""

    account: str
    idempotency_key: str | None

    def attempt(self) -> str:
        """Return a unique name for one attempt; those of one key have the same prefix.

        An attempt that was voided never counts, so a retry needs another.
        """
        return f"{self._prefix()}-{secrets.token_hex(8)}"

    def is_own(self, attempt: str) -> bool:
        """Return whether an attempt was made with this key."""
        return self.idempotency_key is not None and attempt.startswith(f"{self._prefix()}-")

    def _prefix(self) -> str:
        if self.idempotency_key is None:
            return secrets.token_hex(_PREFIX_CHARACTERS // 2)
        text = f"{self.account}\0{self.idempotency_key}".encode()
        return hashlib.sha256(text).hexdigest()[:_PREFIX_CHARACTERS]


class Undo:
    """Undoes and redoes jobs for one API process."""

    def __init__(
        self, database: Database, job_log: JobLog, jobs: JobReader, log_start: LogStartCheck
    ) -> None:
        self._database = database
        self._job_log = job_log
        self._jobs = jobs
        self._log_start = log_start

    async def change(self, job: LedgerJob, change: Change, requester: Requester) -> None:
        """Append the change's event; return once the log has accepted it.

        With an ``Idempotency-Key`` a retry returns too, and changes nothing, whatever has
        become of the job since.

        Raises:
            ConflictError: nothing is to be changed, or not now.
            UnavailableError: Kafka doesn't answer, and says whether anything may have been kept.
        """
        await self._catch_up()
        if self._is_done(job, change, requester):
            return
        try:
            view = await self.check(job, change)
            await self._check_builds(change)
        except ConflictError:
            # It may have been taken meanwhile, by another attempt with the same key.
            if self._is_done(job, change, requester):
                return
            raise
        event = self._event(view, change, requester)
        outcome = await self._job_log.change(event)
        await self._hide(event, outcome)
        if outcome == "voided":
            raise UnavailableError(NOTHING_KEPT)
        if outcome == "unknown":
            message = _OUTCOME_UNKNOWN.format(change=change)
            raise UnavailableError(message, job_id=event.job_id)
        if outcome == "changes nothing" and not self._is_done(job, change, requester):
            raise ConflictError(_OTHER_CAME_FIRST)

    async def _hide(self, event: ChangeEvent, outcome: RevertOutcome) -> None:
        """Keep the processors from showing what a cancelled delsert makes, should it still end.

        Where Postgres can't be asked, the builder does it as soon as it reads the event.
        """
        if outcome != "counts" or not isinstance(event, JobCancelled):
            return
        with contextlib.suppress(StoreUnavailableError):
            await self._database.select_projected(HIDE_CANCELLED, {"job_ids": [event.job_id]})

    async def check(self, job: LedgerJob, change: Change) -> JobView:
        """Return the job as it is, where its state allows the change.

        Raises:
            ConflictError: it doesn't, or the log doesn't hold what the tables would be made from.
            LogUnavailableError: Kafka doesn't answer.
        """
        view = await self._jobs.view(job)
        state, is_redone = view.state, self._is_redone(view)
        _check_state(view, change, is_redone=is_redone)
        if state != "REVERTING" and not is_redone:
            await self._log_start.check()
        return view

    async def check_preview(self, job: LedgerJob, change: Change) -> None:
        """Check that the change is allowed, and that it can be told what it would do.

        Raises:
            ConflictError: it isn't, or the job has not ended.
            LogUnavailableError: Kafka doesn't answer.
        """
        view = await self.check(job, change)
        if not self._is_over(view):
            raise ConflictError(_NOT_ENDED.format(state=view.state))

    def _is_redone(self, view: JobView) -> bool:
        """Return whether a redo of the job is accepted, but readers don't see it yet."""
        changes = self._job_log.ledger.reverts.changes_of(view.accepted.job_id)
        return bool(changes) and isinstance(changes[-1], JobRestored) and view.state == "PROCESSING"

    def _event(self, view: JobView, change: Change, requester: Requester) -> ChangeEvent:
        job_id, account, attempt = view.accepted.job_id, requester.account, requester.attempt()
        event_type, now = _TYPES[change][0], datetime.now(UTC)
        if change == "undo" and self._is_over(view):
            counts = self._counts(view)
            return JobReverted(
                job_id=job_id, requested_at=now, requested_by=account, attempt=attempt, **counts
            )
        return event_type(job_id=job_id, requested_at=now, requested_by=account, attempt=attempt)

    def _is_over(self, view: JobView) -> bool:
        """Return whether the job has ended, also where that isn't seen again yet."""
        return not view.is_running or self._is_redone(view)

    def _counts(self, view: JobView) -> Mapping[str, int]:
        """Return the job's counts; while it is undone, those that it had before."""
        if not self._is_redone(view):
            return view.counts
        changes = self._job_log.ledger.reverts.changes_of(view.accepted.job_id)
        last = next(event for event in reversed(changes) if isinstance(event, JobReverted))
        return {name: getattr(last, name) for name in COUNTS_AND_NOTES}

    async def _catch_up(self) -> None:
        """Read the log up to its end, so that what other instances accepted is known."""
        try:
            await self._job_log.catch_up()
        except LogUnavailableError:
            raise UnavailableError(NOTHING_KEPT) from None

    def _is_done(self, job: LedgerJob, change: Change, requester: Requester) -> bool:
        """Return whether an earlier attempt with the same key was accepted."""
        job_id, reverts = job.accepted.job_id, self._job_log.ledger.reverts
        events = (*reverts.changes_of(job_id), reverts.queued().get(job_id))
        return any(
            isinstance(event, _TYPES[change]) and requester.is_own(event.attempt)
            for event in events
        )

    _SELECT_BUILD: Final = """
    SELECT number, purpose, records_done, records_total
    FROM public.projection_instance
    WHERE purpose IN ('rebuild', 'verify', 'upgrade', 'undo')
      AND state IN ('requested', 'building')
    ORDER BY number
    LIMIT 1
    """

    async def _check_builds(self, change: Change) -> None:
        """Check that no build is in the way; a cancellation waits for none."""
        if change == "cancel":
            return
        builds = await self._database.select_projected(self._SELECT_BUILD)
        for build in builds:
            percent = 100 * build["records_done"] // max(1, build["records_total"])
            at_work = {"number": build["number"], "purpose": build["purpose"]}
            raise ConflictError(_AT_WORK.format(percent=percent, **at_work))


def _check_state(view: JobView, change: Change, *, is_redone: bool) -> None:
    state, is_queued = view.state, isinstance(view.reverted, UndoQueued)
    if change == "redo":
        if state in _FOR_GOOD:
            raise ConflictError(_FOR_GOOD[state])
        if state not in _IN_STATE:
            raise ConflictError(_NOT_REVERTED.format(state=state))
        if is_queued:
            raise ConflictError(_QUEUED)
    elif change == "cancel" and is_queued and view.finished_at is None:
        return
    elif state in _IN_STATE:
        raise ConflictError(_IN_STATE[state])
    elif change == "cancel" and (is_redone or not view.is_running):
        raise ConflictError(_HAS_ENDED.format(state=state))
