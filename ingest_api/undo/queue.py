"""Undo jobs whose undo is queued, each once it has ended.

Every API process does it, because any of them may end: the log takes the first `JobReverted`.
"""

from __future__ import annotations

import asyncio
import secrets
from typing import TYPE_CHECKING, Final

import structlog

from ingest_api.errors import StoreUnavailableError
from schemas.events import JobReverted

if TYPE_CHECKING:
    from ingest_api.event_log.job_events import JobLog
    from ingest_api.jobs.statuses import JobReader
    from schemas.events import UndoQueued

_PAUSE_S: Final = 1.0
_log = structlog.stdlib.get_logger("rollcall.api")


class UndoQueue:
    """The queued undos, for one API process."""

    def __init__(self, job_log: JobLog, jobs: JobReader) -> None:
        self._job_log = job_log
        self._jobs = jobs

    async def run(self) -> None:
        """Undo what has ended, until cancelled; what Kafka or Postgres hold up is tried again."""
        while True:
            for queued in list(self._job_log.ledger.reverts.queued().values()):
                await self._undo_if_ended(queued)
            await asyncio.sleep(_PAUSE_S)

    async def _undo_if_ended(self, queued: UndoQueued) -> None:
        job = self._job_log.ledger.job(queued.job_id)
        assert job is not None, "an undo counts only of a job that does"
        try:
            view = await self._jobs.view(job)
        except StoreUnavailableError:
            return
        if view.finished_at is None:
            return
        event = JobReverted(
            job_id=queued.job_id,
            # Of the request, so that its Idempotency-Key is known; another for each try.
            attempt=f"{queued.attempt}-{secrets.token_hex(8)}",
            requested_at=queued.requested_at,
            requested_by=queued.requested_by,
            **view.counts,
        )
        outcome = await self._job_log.change(event)
        _log.info("queued undo begins", job_id=str(queued.job_id), outcome=outcome)
