"""Liveness and readiness: `/health/live` and `/health/ready`."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any, Final

from ingest_api.app.stall_detector import StallDetector
from ingest_api.errors import LogUnavailableError, StoreUnavailableError
from ingest_api.openapi import response_types
from ingest_api.openapi.described import Answered, described
from ingest_api.openapi.operation import Operation, answer
from ingest_api.web.dates import has_read_model

if TYPE_CHECKING:
    from sanic import Blueprint, Request

    from ingest_api.app.startup import Startup
    from ingest_api.event_log.job_events import JobLog
    from ingest_api.postgres.pool import Database
    from ingest_api.publisher.consumer_lag import ConsumerLag
    from schemas.log.topics import Topics

_KEPT_S: Final = 0.5
"""Anybody may ask, so the answer is kept a moment instead of asking Kafka each time."""
_STATE: Final = "SELECT state FROM public.jobs WHERE job_id = %(job_id)s"
_LIVE: Final = Operation(
    summary="Whether the process answers",
    tag="Service",
    role=None,
    answers={200: answer("It does.", response_types.Live)},
)
_READY: Final = Operation(
    summary="Whether an upload would be taken and processed",
    tag="Service",
    role=None,
    answers={
        200: answer("It would.", response_types.Readiness),
        503: answer("Not yet.", response_types.Readiness),
    },
)


class Readiness:
    """Finds out whether an upload would be accepted, published and projected."""

    def __init__(
        self,
        topics: Topics,
        job_log: JobLog,
        database: Database,
        startup: Startup,
        *,
        progress: ConsumerLag,
    ) -> None:
        self._progress = progress
        self._stall_detector = StallDetector()
        self._topics = topics
        self._job_log = job_log
        self._database = database
        self._startup = startup
        self._reasons: list[str] = []
        self._checked_at_s = -_KEPT_S
        self._lock = asyncio.Lock()

    async def reasons(self) -> list[str]:
        """Return why an upload would not be accepted and processed; empty where it would."""
        async with self._lock:
            if time.monotonic() - self._checked_at_s > _KEPT_S:
                of_kafka, of_postgres = await asyncio.gather(self._kafka(), self._postgres())
                self._reasons = [*self._startup.reasons(), *of_kafka, *of_postgres]
                self._reasons += [] if self._reasons else await self._stalled()
                self._checked_at_s = time.monotonic()
            return self._reasons

    async def _kafka(self) -> list[str]:
        try:
            existing = await self._job_log.topics()
            missing = [topic.name for topic in self._topics.all() if topic.name not in existing]
            if not missing:
                await self._job_log.catch_up()
        except LogUnavailableError:
            return [self._job_log.held_up_by or "Kafka doesn't answer."]
        return [f"The topic {name} is missing." for name in missing]

    async def _postgres(self) -> list[str]:
        try:
            is_there = await has_read_model(self._database)
        except StoreUnavailableError:
            return ["Postgres doesn't answer."]
        return [] if is_there else ["No processor has made the read model yet."]

    async def _stalled(self) -> list[str]:
        """Return why jobs stall; they end in order, so where the last has ended none is open."""
        try:
            open_job_id = await self._last_open_job()
            positions: tuple[int, ...] = ()
            if open_job_id is not None:
                positions = await asyncio.to_thread(self._progress.positions)
        except (StoreUnavailableError, LogUnavailableError):
            return []  # unknown now: the next check finds out
        reason = self._stall_detector.reason(time.monotonic(), open_job_id, positions)
        return [] if reason is None else [reason]

    async def _last_open_job(self) -> int | None:
        jobs = self._job_log.ledger.jobs
        if not jobs:
            return None
        job_id = jobs[-1].accepted.job_id
        rows = await self._database.select(_STATE, {"job_id": job_id})
        is_open = not rows or rows[0]["state"] == "PROCESSING"
        return job_id if is_open else None


def add_health_routes(public: Blueprint, readiness: Readiness) -> None:
    """Add the routes below ``/health``."""

    @public.get("/health/live", ctx_public=True)
    @described(_LIVE)
    async def live(_request: Request[Any, Any]) -> response_types.Live:
        return response_types.Live(status="live")

    @public.get("/health/ready", ctx_public=True)
    @described(_READY)
    async def ready(_request: Request[Any, Any]) -> Answered:
        reasons = await readiness.reasons()
        status = "waiting" if reasons else "ready"
        body = response_types.Readiness(status=status, reasons=reasons)
        return Answered(body, status=503 if reasons else 200)

    _ = live, ready
