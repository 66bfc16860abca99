"""The API's metrics at `/metrics`, among them how many jobs wait, and for how long."""

from __future__ import annotations

import asyncio
import contextlib
import time
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from prometheus_client import Gauge
from sanic.response import HTTPResponse

from ingest_api.errors import StoreUnavailableError
from ingest_api.jobs.pending import count_pending
from ingest_api.openapi.described import described
from ingest_api.openapi.operation import Answer, Operation
from ingest_api.web.parameters import header_values
from schemas.config.metrics import metrics_text

if TYPE_CHECKING:
    from sanic import Blueprint, Request

    from ingest_api.app.health_routes import Readiness
    from ingest_api.event_log.job_events import JobLog
    from ingest_api.event_log.ledger import LedgerJob
    from ingest_api.postgres.pool import Database

OPEN_JOBS: Final = Gauge("rollcall_open_jobs", "Accepted jobs that have not ended.")
OLDEST_JOB_SECONDS: Final = Gauge(
    "rollcall_oldest_open_job_seconds", "Since the oldest of them was accepted, 0 without one."
)
READY: Final = Gauge(
    "rollcall_ready",
    "1 where `/health/ready` finds nothing amiss with the component.",
    ["component"],
)
DISK_BYTES: Final = Gauge("rollcall_disk_bytes", "Of the disk of ROLLCALL_WATCHED_FOLDER.")
DISK_FREE_BYTES: Final = Gauge("rollcall_disk_free_bytes", "What is free of it.")
_EVERY_S: Final = 5.0
_STATEMENT_S: Final = 3.0
_EXAMPLE: Final = """\
# HELP rollcall_open_jobs Accepted jobs that have not ended.
# TYPE rollcall_open_jobs gauge
rollcall_open_jobs 2.0
# EOF
"""
_METRICS: Final = Operation(
    summary="Metrics of this process",
    description="For Prometheus; publishers, processors and builders show theirs at"
    " `ROLLCALL_METRICS_PORT`.",
    tag="Service",
    role=None,
    answers={
        200: Answer(
            description="In the OpenMetrics format where `Accept` names it, else as Prometheus"
            " reads it by itself.",
            bodies={
                "text/plain": {"type": "string"},
                "application/openmetrics-text": {"type": "string"},
            },
            examples={"A gauge.": _EXAMPLE},
        )
    },
)


def add_metrics_route(public: Blueprint) -> None:
    """Add ``GET /metrics``."""

    @public.get("/metrics", ctx_public=True)
    @described(_METRICS)
    async def metrics(request: Request[Any, Any]) -> HTTPResponse:
        text, content_type = metrics_text(",".join(header_values(request, "accept")))
        return HTTPResponse(text, content_type=content_type)

    _ = metrics


def _age_s(job: LedgerJob) -> float:
    return max(0.0, time.time() - job.accepted.accepted_at.timestamp())


async def watch_service(readiness: Readiness, database: Database, job_log: JobLog) -> None:
    """Set these metrics again and again; where Postgres fails, no job ends as far as is known."""
    select = partial(database.select_projected, timeout_s=_STATEMENT_S)
    ended: int | None = None
    while True:
        for component, reasons in (await readiness.reasons()).items():
            READY.labels(component).set(not reasons)
        if disk := readiness.disk():
            DISK_BYTES.set(disk.total_bytes)
            DISK_FREE_BYTES.set(disk.free_bytes)
        jobs = job_log.ledger.jobs
        with contextlib.suppress(StoreUnavailableError):
            ended = len(jobs) - await count_pending(select, jobs)
        waiting = () if ended is None else jobs[ended:]
        OPEN_JOBS.set(len(waiting))
        OLDEST_JOB_SECONDS.set(_age_s(waiting[0]) if waiting else 0)
        await asyncio.sleep(_EVERY_S)
