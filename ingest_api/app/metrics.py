"""The API's metrics at `/metrics`, among them how many jobs wait, and for how long."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any, Final

from prometheus_client import Gauge
from sanic.response import HTTPResponse

from ingest_api.dry_runs.comparison import count_pending
from ingest_api.errors import StoreUnavailableError
from ingest_api.openapi.described import described
from ingest_api.openapi.operation import Answer, Operation
from schemas.config.metrics import CONTENT_TYPE, metrics_text

if TYPE_CHECKING:
    from sanic import Blueprint, Request

    from ingest_api.event_log.job_events import JobLog
    from ingest_api.event_log.ledger import LedgerJob
    from ingest_api.postgres.pool import Database

OPEN_JOBS: Final = Gauge("rollcall_open_jobs", "Accepted jobs that have not ended.")
OLDEST_JOB_SECONDS: Final = Gauge(
    "rollcall_oldest_open_job_seconds", "Since the oldest of them was accepted, 0 without one."
)
POSTGRES_UP: Final = Gauge("rollcall_postgres_up", "1 where Postgres answered the last time.")
_EVERY_S: Final = 5.0
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
            description="Text in the OpenMetrics format.",
            bodies={"application/openmetrics-text": {"type": "string"}},
            examples={"A gauge.": _EXAMPLE},
        )
    },
)


def add_metrics_route(public: Blueprint) -> None:
    """Add ``GET /metrics``."""

    @public.get("/metrics", ctx_public=True)
    @described(_METRICS)
    async def metrics(_request: Request[Any, Any]) -> HTTPResponse:
        return HTTPResponse(metrics_text(), content_type=CONTENT_TYPE)

    _ = metrics


def _age_s(job: LedgerJob) -> float:
    return max(0.0, time.time() - job.accepted.accepted_at.timestamp())


async def watch_queue(database: Database, job_log: JobLog) -> None:
    """Set these metrics again and again."""
    while True:
        jobs = tuple(job_log.ledger.jobs)
        try:
            waiting = await count_pending(database.select_projected, jobs) if jobs else 0
        except StoreUnavailableError:
            POSTGRES_UP.set(0)
        else:
            POSTGRES_UP.set(1)
            OPEN_JOBS.set(waiting)
            OLDEST_JOB_SECONDS.set(_age_s(jobs[-waiting]) if waiting else 0)
        await asyncio.sleep(_EVERY_S)
