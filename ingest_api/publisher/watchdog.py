"""Decides which job must be published again, because the log lost acknowledged records (pure).

What is known of jobs that ended is `job-status`, where a final status comes once and may be lost.
Jobs end in their order: each partition opens a job only where the one before it in the ledger is
sealed, and a final status is written with the last seal, whether the job was applied, undone,
cancelled or failed.  So any final status proves that all jobs before its own have ended, too.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ingest_api.event_log.ledger import LedgerJob

_LONGEST_PATIENCE_S: Final = 3600.0


@dataclass(slots=True)
class _Watched:
    job: LedgerJob
    patience_s: float
    ends: tuple[int, ...] | None = None
    passed_at_s: float | None = None


class Watchdog:
    """The jobs that were published and are not known to have ended, in their order.

    A job is overdue where the processors have read past the end of its last
    pass, and it has still not ended some time later.
    While they lag, or do not run, it is only waiting.
    """

    def __init__(self, patience_s: float, offset_of: Callable[[int], int | None]) -> None:
        """``offset_of`` is the ledger's: a job's place in the order, None while it is unknown."""
        self._patience_s = patience_s
        self._offset_of = offset_of
        self._ended_offset = -1
        self._unplaced: set[int] = set()
        """Jobs that ended, and whose place in the order was not known yet."""
        self._watched: dict[int, _Watched] = {}

    @property
    def is_watching(self) -> bool:
        """True while any published job is not known to have ended."""
        self._settle()
        return bool(self._watched)

    def has_ended(self, job: LedgerJob) -> bool:
        """Return whether the job is known to have ended: itself, or one after it."""
        self._settle()
        return job.offset <= self._ended_offset

    def watch(self, job: LedgerJob) -> None:
        """Watch a job of which a whole pass is in the log; call it in the order of jobs."""
        if not self.has_ended(job):
            watched = self._watched.setdefault(job.accepted.job_id, _Watched(job, self._patience_s))
            watched.ends = watched.passed_at_s = None

    def note_end(self, job_id: int) -> None:
        """Note that the job has ended; it may be one that the ledger doesn't know yet."""
        self._unplaced.add(job_id)

    def renew_patience(self) -> None:
        """Let jobs be overdue as soon as they were at first, because more can be done for them."""
        for watched in self._watched.values():
            watched.patience_s = self._patience_s

    def _settle(self) -> None:
        """Count what was noted of jobs that the ledger knows by now: topics are read apart."""
        found = {job_id: self._offset_of(job_id) for job_id in self._unplaced}
        places = {job_id: offset for job_id, offset in found.items() if offset is not None}
        if not places:
            return
        self._unplaced -= places.keys()
        self._ended_offset = max(self._ended_offset, *places.values())
        self._watched = {
            job_id: watched
            for job_id, watched in self._watched.items()
            if watched.job.offset > self._ended_offset
        }

    def overdue(
        self, now_s: float, ends: Sequence[int], next_offsets: Sequence[int]
    ) -> LedgerJob | None:
        """Return the first job in order, if it is overdue; all after it depend on it.

        ``ends`` are those of the partitions now, ``next_offsets`` what the
        processors have committed.
        A job that does not end is reported less and less often.
        """
        self._settle()
        first = next(iter(self._watched.values()), None)
        if first is None:
            return None
        if first.ends is None:
            first.ends = tuple(ends)
        if any(done < end for done, end in zip(next_offsets, first.ends, strict=True)):
            first.passed_at_s = None
            return None
        if first.passed_at_s is None:
            first.passed_at_s = now_s
        if now_s - first.passed_at_s < first.patience_s:
            return None
        first.patience_s = min(first.patience_s * 2, _LONGEST_PATIENCE_S)
        first.ends = first.passed_at_s = None
        return first.job
