"""Finds which jobs are reverted from `job-events`, alike on both sides.  Pure.

The order of the log alone decides:

- ``JobReverted`` counts where the job is known (a ``JobAccepted`` of it counts, see
  below) and not reverted already;
- ``JobCancelled`` reverts the job in the same way;
- ``JobFailed`` does too, also of a job that is reverted already, unless by a ``JobCancelled``;
- ``UndoQueued`` counts where the job is known, not reverted, and no undo of it is queued; it is
  queued until the job is reverted;
- ``JobRestored`` counts where the job is reverted, and not by a ``JobCancelled``
  or ``JobFailed``;
- of an attempt only the first record counts, and none where a ``JobVoided`` of it
  stands before it, as it is with the attempts of ``JobAccepted``;
- while the log is held for a move, every attempt counts as voided
  (:mod:`schemas.log.moves`), and so does one that the tables can't hold
  (:mod:`schemas.log.storable`);
- every other one changes nothing.

So all readers up to an offset know the same set of reverted jobs.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from schemas.events import (
    JobAccepted,
    JobCancelled,
    JobFailed,
    JobRestored,
    JobReverted,
    JobVoided,
    UndoQueued,
)
from schemas.log.moves import LogMoves
from schemas.log.storable import violation

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from datetime import datetime

    from schemas.events import Event

Revert = JobReverted | JobCancelled | JobFailed
"""After any the job counts as if it had never run."""
ChangeEvent = Revert | JobRestored | UndoQueued
"""Asks that a job counts or not, now or later; may change nothing."""
RevertDecision = Literal["counts", "changes nothing", "voided"]


@dataclass(frozen=True, slots=True)
class _Change:
    """A record that counts; ``recorded_at`` is its time in the log, where that is known."""

    offset: int
    recorded_at: datetime | None
    event: Revert | JobRestored


class Reverts:
    """The reverted jobs; :meth:`apply` reads the events of `job-events` in order."""

    def __init__(self) -> None:
        self._accepted_at: dict[int, int] = {}
        self._decisions: dict[tuple[int, str], RevertDecision] = {}
        self._changes: list[_Change] = []
        self._by_job: dict[int, list[Revert | JobRestored]] = {}
        self._queued: dict[int, UndoQueued] = {}
        self._now: frozenset[int] = frozenset()
        self._cancelled: frozenset[int] = frozenset()
        self._failed: dict[int, JobFailed] = {}
        self.moves = LogMoves()

    def apply(self, offset: int, event: Event, recorded_at: datetime | None = None) -> None:
        """Read the event at this offset; offsets rise, and events of other types change nothing."""
        if not self.moves.apply(event) or violation(event) is not None:
            if isinstance(event, JobAccepted | ChangeEvent):
                self._decisions.setdefault((event.job_id, event.attempt), "voided")
            return
        if isinstance(event, JobVoided):
            self._decisions.setdefault((event.job_id, event.attempt), "voided")
        elif isinstance(event, JobAccepted):
            if (event.job_id, event.attempt) not in self._decisions:
                self._accepted_at.setdefault(event.job_id, offset)
        elif isinstance(event, ChangeEvent):
            self._decide(offset, event, recorded_at)

    def _decide(self, offset: int, event: ChangeEvent, recorded_at: datetime | None) -> None:
        attempt = (event.job_id, event.attempt)
        if attempt in self._decisions:
            return
        if isinstance(event, JobFailed) and self.is_known(event.job_id):
            self._failed.setdefault(event.job_id, event)
        if not self._is_change(event) or not self.is_known(event.job_id):
            self._decisions[attempt] = "changes nothing"
            return
        if isinstance(event, UndoQueued):
            self._queued[event.job_id] = event
        else:
            self._change(_Change(offset, recorded_at, event))
        # Last, so that whoever waits for the decision finds the rest done.
        self._decisions[attempt] = "counts"

    def _is_change(self, event: ChangeEvent) -> bool:
        if isinstance(event, JobRestored):
            return isinstance(self.reverted(event.job_id), JobReverted)
        if isinstance(event, UndoQueued) and event.job_id in self._queued:
            return False
        if isinstance(event, JobFailed):
            return event.job_id not in self._cancelled
        return event.job_id not in self._now

    def _change(self, change: _Change) -> None:
        event = change.event
        self._by_job.setdefault(event.job_id, []).append(event)
        if not (isinstance(event, JobFailed) and event.job_id in self._now):
            self._changes.append(change)
            self._now = self._now ^ {event.job_id}
        if isinstance(event, JobCancelled | JobFailed):
            self._cancelled |= {event.job_id}
        self._queued.pop(event.job_id, None)

    def is_known(self, job_id: int) -> bool:
        """Return whether a ``JobAccepted`` of this job counts."""
        return job_id in self._accepted_at

    def reverted(self, job_id: int) -> Revert | None:
        """Return the event that reverted the job; None where it is not reverted now."""
        changes = self.changes_of(job_id)
        last = changes[-1] if changes else None
        return None if isinstance(last, JobRestored) else last

    def cancelled(self) -> frozenset[int]:
        """Return the jobs that were cancelled or failed: they never count again."""
        return self._cancelled

    def failed(self) -> Mapping[int, JobFailed]:
        """Return why jobs can't be published, by job, also of those cancelled before."""
        return self._failed

    def queued(self) -> Mapping[int, UndoQueued]:
        """Return the queued undos, by job."""
        return self._queued

    def changes_of(self, job_id: int) -> Sequence[Revert | JobRestored]:
        """Return the events that reverted, restored and cancelled the job, in order."""
        return self._by_job.get(job_id, ())

    def changes_after(self, offset: int) -> Iterator[Revert | JobRestored]:
        """Yield the events after this offset that made a job count or not, the latest first."""
        for change in reversed(self._changes):
            if change.offset <= offset:
                return
            yield change.event

    def decision(self, job_id: int, attempt: str) -> RevertDecision | None:
        """Return the final decision about this attempt; None until the log has its record."""
        return self._decisions.get((job_id, attempt))

    def now(self) -> frozenset[int]:
        """Return the jobs reverted after all events read."""
        return self._now

    def at_time(self, time: datetime) -> frozenset[int]:
        """Return the jobs reverted before the first change recorded after ``time`` (aware)."""
        return self._until(
            lambda change: change.recorded_at is not None and change.recorded_at > time
        )

    def at_offset(self, offset: int) -> frozenset[int]:
        """Return the jobs reverted before the record at this offset."""
        return self._until(lambda change: change.offset >= offset)

    def _until(self, is_later: Callable[[_Change], bool]) -> frozenset[int]:
        """Return the jobs reverted before the first change that is later, and all cancelled ones.

        A job that was cancelled or failed later never ran, at no time.
        """
        found = frozenset[int]()
        for change in itertools.takewhile(lambda change: not is_later(change), self._changes):
            found ^= {change.event.job_id}
        return found | self._cancelled

    def before_job(self, job_id: int) -> frozenset[int]:
        """Return the jobs reverted before this job was accepted.

        The job itself is among them only where it was cancelled or failed.

        Raises:
            KeyError: the job is not known.
        """
        return self.at_offset(self._accepted_at[job_id])
