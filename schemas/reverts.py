"""Which jobs are reverted: the pure reading of `job-events` that both sides share.

The log decides, in its order and nothing else:

- ``JobReverted`` counts where the job is known (a ``JobAccepted`` of it counts, see
  below) and not reverted already;
- ``JobRestored`` counts where the job is reverted;
- of an attempt only the first record counts, and none where a ``JobVoided`` of it
  stands before it, as it is with the attempts of ``JobAccepted``;
- while the log is held for a move, every attempt counts as voided
  (:mod:`schemas.log_moves`);
- every other one changes nothing.

So everyone who has read up to an offset knows the same set of reverted jobs.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from schemas.events import JobAccepted, JobRestored, JobReverted, JobVoided
from schemas.log_moves import LogMoves

if TYPE_CHECKING:
    from datetime import datetime

    from schemas.events import Event

RevertDecision = Literal["counts", "changes nothing", "voided"]


@dataclass(frozen=True, slots=True)
class _Change:
    """The reverted jobs from a record on; ``recorded_at`` is the record's time, if known."""

    offset: int
    recorded_at: datetime | None
    job_ids: frozenset[int]


class Reverts:
    """What `job-events`, read in its order by :meth:`apply`, says of reverted jobs."""

    def __init__(self) -> None:
        self._accepted_at: dict[int, int] = {}
        self._reverted: dict[int, JobReverted] = {}
        self._decisions: dict[tuple[int, str], RevertDecision] = {}
        self._changes: list[_Change] = []
        self._moves = LogMoves()

    def apply(self, offset: int, event: Event, recorded_at: datetime | None = None) -> None:
        """Read the event at this offset; offsets rise, and other events change nothing."""
        if not self._moves.apply(event):
            if isinstance(event, (JobAccepted, JobReverted, JobRestored)):
                self._decisions.setdefault((event.job_id, event.attempt), "voided")
            return
        if isinstance(event, JobVoided):
            self._decisions.setdefault((event.job_id, event.attempt), "voided")
        elif isinstance(event, JobAccepted):
            if (event.job_id, event.attempt) not in self._decisions:
                self._accepted_at.setdefault(event.job_id, offset)
        elif isinstance(event, (JobReverted, JobRestored)):
            self._decide(offset, event, recorded_at)

    def _decide(
        self, offset: int, event: JobReverted | JobRestored, recorded_at: datetime | None
    ) -> None:
        attempt = (event.job_id, event.attempt)
        if attempt in self._decisions:
            return
        is_wanted_reverted = isinstance(event, JobReverted)
        is_reverted = event.job_id in self._reverted
        if not self.is_known(event.job_id) or is_reverted == is_wanted_reverted:
            self._decisions[attempt] = "changes nothing"
            return
        self._decisions[attempt] = "counts"
        if isinstance(event, JobReverted):
            self._reverted[event.job_id] = event
        else:
            del self._reverted[event.job_id]
        self._changes.append(_Change(offset, recorded_at, frozenset(self._reverted)))

    def is_known(self, job_id: int) -> bool:
        """Whether a ``JobAccepted`` of this job counts."""
        return job_id in self._accepted_at

    def reverted(self, job_id: int) -> JobReverted | None:
        """What reverted the job; None where it is not reverted now."""
        return self._reverted.get(job_id)

    def decision(self, job_id: int, attempt: str) -> RevertDecision | None:
        """What was decided about this attempt, for ever; None before the log speaks of it."""
        return self._decisions.get((job_id, attempt))

    def now(self) -> frozenset[int]:
        """The reverted jobs after all that was read."""
        return self._changes[-1].job_ids if self._changes else frozenset()

    def at_time(self, time: datetime) -> frozenset[int]:
        """Those after the records before the first change recorded later than that (aware)."""
        found: frozenset[int] = frozenset()
        for change in self._changes:
            if change.recorded_at is not None and change.recorded_at > time:
                break
            found = change.job_ids
        return found

    def at_offset(self, offset: int) -> frozenset[int]:
        """Those before the record at this offset."""
        found: frozenset[int] = frozenset()
        for change in self._changes:
            if change.offset >= offset:
                break
            found = change.job_ids
        return found

    def before_job(self, job_id: int) -> frozenset[int]:
        """Those before this job was accepted: as readers saw its outcome, it was not one of them.

        Raises:
            KeyError: the job is not known.
        """
        return self.at_offset(self._accepted_at[job_id])
