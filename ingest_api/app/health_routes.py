"""Liveness and readiness: `/health/live` and `/health/ready`."""

from __future__ import annotations

import asyncio
import contextlib
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

from ingest_api.app.stall_detector import StallDetector
from ingest_api.errors import LogUnavailableError, StoreUnavailableError
from ingest_api.openapi import response_types
from ingest_api.openapi.described import Answered, described
from ingest_api.openapi.operation import Operation, answer
from ingest_api.web.dates import has_read_model
from schemas.runtime.disk import Disk

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from sanic import Blueprint, Request

    from ingest_api.app.settings import ApiSettings
    from ingest_api.app.startup import Startup
    from ingest_api.event_log.job_events import JobLog
    from ingest_api.postgres.pool import Database
    from ingest_api.publisher.consumer_lag import ConsumerLag

_KEPT_S: Final = 0.5
"""Anybody may ask, so the answer is kept a moment instead of asking Kafka each time."""
_ANSWER_S: Final = 1.8
_NO_KAFKA: Final = "Kafka doesn't answer."
_NO_POSTGRES: Final = "Postgres doesn't answer."
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
        settings: ApiSettings,
        job_log: JobLog,
        database: Database,
        startup: Startup,
        *,
        progress: ConsumerLag,
    ) -> None:
        self._progress = progress
        self._stall_detector = StallDetector()
        self._topics = settings.shared.topics
        self._folder = Path(settings.watched_folder) if settings.watched_folder else None
        self._job_log = job_log
        self._database = database
        self._startup = startup
        self._found: dict[str, list[str]] = {}
        self._checked_at_s = -_KEPT_S
        self._lock = asyncio.Lock()

    def disk(self) -> Disk | None:
        """Return the disk of the folder that is watched; None where none is, or can be read."""
        with contextlib.suppress(OSError):
            return None if self._folder is None else Disk.of(self._folder)
        return None

    async def reasons(self) -> dict[str, list[str]]:
        """Return, by component, why an upload would not be accepted and processed.

        It answers in time also where something is frozen.
        """
        async with self._lock:
            if time.monotonic() - self._checked_at_s > _KEPT_S:
                self._found = await self._checked()
                self._checked_at_s = time.monotonic()
            return self._found

    async def _checked(self) -> dict[str, list[str]]:
        end_s = time.monotonic() + _ANSWER_S
        kafka, postgres = await asyncio.gather(
            _within(end_s, self._kafka(), self._job_log.held_up_by or _NO_KAFKA),
            _within(end_s, self._postgres(), _NO_POSTGRES),
        )
        found = {"kafka": kafka, "postgres": postgres, "setup": self._startup.reasons()}
        if self._folder is not None:
            found["disk"] = _disk_reasons(self._folder)
        is_well = not any(found.values())
        found["jobs"] = await _within(end_s, self._stalled(), None) if is_well else []
        return found

    async def _kafka(self) -> list[str]:
        try:
            existing = await self._job_log.topics()
            missing = [topic.name for topic in self._topics.all() if topic.name not in existing]
            if not missing:
                await self._job_log.catch_up()
        except LogUnavailableError:
            return [self._job_log.held_up_by or _NO_KAFKA]
        return [f"The topic {name} is missing." for name in missing]

    async def _postgres(self) -> list[str]:
        try:
            is_there = await has_read_model(self._database)
        except StoreUnavailableError:
            return [_NO_POSTGRES]
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


async def _within(
    end_s: float, check: Coroutine[Any, Any, list[str]], otherwise: str | None
) -> list[str]:
    """Return the check's reasons, or the other one where they have not come by then."""
    try:
        async with asyncio.timeout(max(0.0, end_s - time.monotonic())):
            return await check
    except TimeoutError:
        return [otherwise] if otherwise else []


def _disk_reasons(folder: Path) -> list[str]:
    try:
        disk = Disk.of(folder)
    except OSError as error:
        return [f"The folder {folder}, ROLLCALL_WATCHED_FOLDER, can't be read: {error.strerror}."]
    fault = disk.fault() if disk.is_full else None
    return [fault] if fault else []


def add_health_routes(public: Blueprint, readiness: Readiness) -> None:
    """Add the routes below ``/health``."""

    @public.get("/health/live", ctx_public=True)
    @described(_LIVE)
    async def live(_request: Request[Any, Any]) -> response_types.Live:
        return response_types.Live(status="live")

    @public.get("/health/ready", ctx_public=True)
    @described(_READY)
    async def ready(_request: Request[Any, Any]) -> Answered:
        found = await readiness.reasons()
        components = [
            response_types.Component(name=name, status=_status_of(reasons), reasons=reasons)
            for name, reasons in found.items()
        ]
        reasons = [reason for component in components for reason in component.reasons]
        status = _status_of(reasons)
        body = response_types.Readiness(status=status, reasons=reasons, components=components)
        return Answered(body, status=503 if reasons else 200)

    _ = live, ready


def _status_of(reasons: list[str]) -> Literal["ready", "waiting"]:
    return "waiting" if reasons else "ready"
