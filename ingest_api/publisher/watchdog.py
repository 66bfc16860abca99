"""Decides which job must be published again, because the log lost acknowledged records (pure)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ingest_api.event_log.ledger import LedgerJob

_LONGEST_PATIENCE_S: Final = 3600.0


@dataclass(slots=True)
class _Watched:
    job: LedgerJob
    patience_s: float
    ends: tuple[int, ...] | None = None
    passed_at_s: float | None = None


class Watchdog:
    """The jobs that were published and are not known to be complete, in their order.

    A job is overdue where the processors have read past the end of its last
    pass, and it is still not complete some time later.
    While they lag, or do not run, it is only waiting.
    """

    def __init__(self, patience_s: float) -> None:
        self._patience_s = patience_s
        self._completed: set[int] = set()
        self._watched: dict[int, _Watched] = {}

    @property
    def is_watching(self) -> bool:
        """True while any published job is not complete."""
        return bool(self._watched)

    def is_complete(self, job_id: int) -> bool:
        """Return whether the job is known to have ended."""
        return job_id in self._completed

    def watch(self, job: LedgerJob) -> None:
        """Watch a job of which a whole pass is in the log; call it in the order of jobs."""
        job_id = job.accepted.job_id
        if job_id not in self._completed:
            watched = self._watched.setdefault(job_id, _Watched(job, self._patience_s))
            watched.ends = watched.passed_at_s = None

    def complete(self, job_id: int) -> None:
        """Note that the job has ended."""
        self._completed.add(job_id)
        self._watched.pop(job_id, None)

    def overdue(
        self, now_s: float, ends: Sequence[int], next_offsets: Sequence[int]
    ) -> LedgerJob | None:
        """Return the first job in order, if it is overdue; all after it depend on it.

        ``ends`` are those of the partitions now, ``next_offsets`` what the
        processors have committed.
        A job that stays incomplete is reported less and less often.
        """
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
