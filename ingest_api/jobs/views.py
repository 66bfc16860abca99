"""A job as it was at one moment, as values to decide on; answers are made of these."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from msgspec import UNSET

from ingest_api.openapi.response_types import JobStatus, UndoFailure
from ingest_api.parsing.file_format import delimiter_name
from ingest_api.web.dates import date_text, estimated_end, optional_date_text
from schemas.events import JobCancelled, JobFailed, JobReverted, UndoQueued
from schemas.log.job_states import (
    COUNTS_AND_NOTES,
    ENDED_STATES,
    FAILED,
    RUNNING_STATES,
    UNDO_QUEUED,
    line_outcomes,
    status_message,
)

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from msgspec import UnsetType

    from ingest_api.openapi.response_types import FaultCount
    from ingest_api.web.dates import Row
    from schemas.events import JobAccepted, JobState
    from schemas.log.reverts import Revert

    _LeftOut = Revert | UndoQueued | None

_NONE: Final = dict.fromkeys(COUNTS_AND_NOTES, 0)


@dataclass(frozen=True, slots=True)
class UndoTry:
    """The last try to make the audience that a job waits for, which came to nothing.

    ``next_try_at`` is None while it is being tried again.
    """

    failure: str
    failures: int
    failed_at: datetime
    next_try_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class JobView:
    """A job at the moment ``at``; ``version`` rises with each change, 0 before the first.

    What only the log says, that the job is reverted or restored, changes no version.
    ``counts`` are those of lines (``inserted``, ``updated``, ``unchanged``, ``rejected``) and
    of users ``deleted``, and of ``notes``; those that it had where it is reverted.
    """

    at: datetime
    version: int
    accepted: JobAccepted
    state: JobState
    counts: Mapping[str, int]
    started_at: datetime | None
    finished_at: datetime | None
    """Of its rows, also where readers don't see them any more, or not again yet."""
    reverted: _LeftOut
    undo_try: UndoTry | None

    @property
    def is_running(self) -> bool:
        """True while lines have no outcome yet, or none that readers see."""
        return self.state in RUNNING_STATES

    @property
    def is_ended(self) -> bool:
        """True where it is the job's last state."""
        return self.state in ENDED_STATES

    def shows_as(self, other: JobView | None) -> bool:
        """Return whether both are equal, but for the speed and what is guessed from it."""
        return other is not None and _shown(self) == _shown(other)

    @property
    def lines_done(self) -> int:
        """Count the lines that have an outcome."""
        return line_outcomes(self.accepted.mode, self.counts)

    @property
    def rows_per_s(self) -> float | None:
        """The speed of the job, also after its end."""
        if self.started_at is None:
            return None
        elapsed_s = ((self.finished_at or self.at) - self.started_at).total_seconds()
        return self.lines_done / elapsed_s if elapsed_s > 0 else None

    @property
    def estimated_finish_at(self) -> datetime | None:
        """The time at which it will have gone through its lines, at its speed so far."""
        rate = self.rows_per_s
        if self.finished_at is not None or not rate:
            return None
        return estimated_end(self.at, self.accepted.lines - self.lines_done, rate)


def _shown(view: JobView) -> tuple[object, ...]:
    return view.state, view.undo_try, dict(view.counts)


def job_view(
    accepted: JobAccepted,
    opened: Row | None,
    reverted: _LeftOut,
    undo_try: UndoTry | None,
    *,
    at: datetime,
) -> JobView:
    """Return what the log says of a job and its row, None where no processor has opened it."""
    state = _state(opened, reverted)
    return JobView(
        at=at,
        version=opened["version"] if opened else 0,
        accepted=accepted,
        state=state,
        counts=_counts(state, opened, reverted),
        started_at=opened["started_at"] if opened else None,
        finished_at=opened["finished_at"] if opened else None,
        reverted=reverted,
        undo_try=undo_try,
    )


def _state(opened: Row | None, reverted: _LeftOut) -> JobState:
    state: JobState = opened["state"] if opened else "ACCEPTED"
    is_left_out = state == "REVERTED"
    if isinstance(reverted, JobFailed) and is_left_out:
        return "FAILED"
    if isinstance(reverted, JobCancelled):
        return "CANCELLED" if is_left_out else "CANCELLING"
    if isinstance(reverted, JobReverted) and is_left_out:
        return "REVERTED"
    if isinstance(reverted, JobReverted | UndoQueued):
        return "REVERTING"
    return "PROCESSING" if is_left_out else state


def _counts(state: JobState, opened: Row | None, reverted: _LeftOut) -> Mapping[str, int]:
    """Return its counts; a job that is left out has no rows to count, so the log says them."""
    if state == "REVERTED":
        return {name: getattr(reverted, name) for name in COUNTS_AND_NOTES}
    if state in {"CANCELLED", "FAILED"}:
        return _NONE
    return {name: opened[name] for name in COUNTS_AND_NOTES} if opened else _NONE


def job_status(view: JobView, rejected_by: list[FaultCount] | UnsetType = UNSET) -> JobStatus:
    """Return the status as it is sent."""
    accepted, reverted, rate = view.accepted, view.reverted, view.rows_per_s
    cancelled = reverted if isinstance(reverted, JobCancelled) else None
    undone = reverted if isinstance(reverted, JobReverted | UndoQueued) else None
    return JobStatus(
        data_type="AUDIENCE_MEMBERS",
        status_message=job_message(view),
        imported_date=date_text(accepted.accepted_at),
        imported_by=accepted.accepted_by,
        id=str(accepted.job_id),
        state=view.state,
        mode=accepted.mode,
        file_name=accepted.file_name,
        sha256=accepted.sha256,
        delimiter=delimiter_name(accepted.delimiter),
        charset=accepted.charset,
        total=accepted.lines,
        **view.counts,
        rejected_by=rejected_by,
        rows_per_second=None if rate is None else round(rate, 1),
        started_date=optional_date_text(view.started_at),
        finished_date=None if view.is_running else optional_date_text(view.finished_at),
        estimated_finish_date=optional_date_text(view.estimated_finish_at),
        reverted_date=None if undone is None else date_text(undone.requested_at),
        reverted_by=None if undone is None else undone.requested_by,
        cancelled_date=None if cancelled is None else date_text(cancelled.requested_at),
        cancelled_by=None if cancelled is None else cancelled.requested_by,
        undo_failure=None if view.undo_try is None else _undo_failure(view.undo_try),
    )


def job_message(view: JobView) -> str:
    """Return what the job's status says in words."""
    match view.reverted:
        case UndoQueued():
            return UNDO_QUEUED
        case JobFailed(reason=reason) if view.state == "FAILED":
            return f"{FAILED}: {reason}"
        case reverted:
            has_failed = view.undo_try is not None and reverted is not None
            return status_message(view.state, view.accepted.lines, has_failed=has_failed)


def _undo_failure(undo_try: UndoTry) -> UndoFailure:
    return UndoFailure(
        reason=undo_try.failure,
        failures=undo_try.failures,
        date=date_text(undo_try.failed_at),
        next_try_date=optional_date_text(undo_try.next_try_at),
    )
