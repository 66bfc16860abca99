"""The routes of job statuses: one, a page of them, or one as server-sent events."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

from sanic.response import HTTPResponse

from ingest_api.errors import LogUnavailableError, invalid_parameter
from ingest_api.jobs import views
from ingest_api.jobs.job_parameter import job_named
from ingest_api.jobs.operations import (
    EVENT_STREAM,
    JOB_EVENTS,
    JOB_STATUS,
    JOB_STATUSES,
    LAST_EVENT_ID,
)
from ingest_api.jobs.server_sent_events import event_id, event_texts
from ingest_api.jobs.statuses import JobFilter
from ingest_api.openapi.described import described
from ingest_api.openapi.response_types import JobStatuses
from ingest_api.web.paging import page_of
from ingest_api.web.parameters import header, query_values
from ingest_api.web.streaming import send_stream
from schemas.events import JOB_MODES
from schemas.log.job_states import JOB_STATES

if TYPE_CHECKING:
    from sanic import Blueprint, Request

    from ingest_api.event_log.job_events import JobLog
    from ingest_api.jobs.status_watch import JobWatch
    from ingest_api.jobs.statuses import JobReader
    from ingest_api.openapi.response_types import JobStatus


def add_job_routes(api: Blueprint, job_log: JobLog, jobs: JobReader, watch: JobWatch) -> None:
    """Add the routes below ``/batchinfo/status``."""

    @api.get("/batchinfo/status/<job_id:str>")
    @described(JOB_STATUS)
    async def job_status(request: Request[Any, Any], job_id: str) -> JobStatus:
        job = await job_named(request, job_log, job_id)
        view = await jobs.view(job)
        return views.job_status(view, await jobs.fault_counts(view))

    @api.get("/batchinfo/status")
    @described(JOB_STATUSES)
    async def job_statuses(request: Request[Any, Any]) -> JobStatuses:
        page, job_filter = page_of(request), _filter(request)
        # Without Kafka the list is what this instance has read so far.
        with contextlib.suppress(LogUnavailableError):
            await job_log.catch_up()
        total, found = await jobs.select_page(job_filter, page.start, page.size)
        return JobStatuses(total=total, statuses=[views.job_status(view) for view in found])

    @api.get("/batchinfo/status/<job_id:str>/events")
    @described(JOB_EVENTS)
    async def job_events(request: Request[Any, Any], job_id: str) -> HTTPResponse | None:
        job = await job_named(request, job_log, job_id)
        with watch.slot():
            seen = _seen(request)
            view = await jobs.view(job)  # a fault is answered as such before the events begin
            if view.is_ended and event_id(view) == seen:
                return HTTPResponse(status=204, headers={"Cache-Control": "no-store"})
            events = event_texts(watch.views(job), seen)
            # A proxy that gathers answers, as nginx does by default, would hold up the events.
            headers = {"X-Accel-Buffering": "no"}
            await send_stream(request, events, content_type=EVENT_STREAM, headers=headers)
        return None

    _ = job_status, job_statuses, job_events


def _seen(request: Request[Any, Any]) -> str | None:
    """Return the id of the last event that the client has seen, if any."""
    in_query = query_values(request).get(LAST_EVENT_ID, [None])
    return header(request, "last-event-id") or in_query[0]


def _filter(request: Request[Any, Any]) -> JobFilter:
    """Read which jobs the query asks for.

    Raises:
        InvalidRequestError: it names a state or a mode that there isn't.
    """
    query = query_values(request)
    return JobFilter(
        states=_wanted("state", query.get("state"), JOB_STATES),
        modes=_wanted("mode", query.get("mode"), JOB_MODES),
        accounts=_wanted("importedBy", query.get("importedBy"), None),
    )


def _wanted(
    name: str, values: list[str] | None, allowed: tuple[str, ...] | None
) -> frozenset[str] | None:
    if values is None:
        return None
    if allowed is None and not all(values):
        raise invalid_parameter(name, f"{name} is empty: leave it out, or name an account.")
    if allowed is not None and not set(values) <= set(allowed):
        raise invalid_parameter(name, f"{name} is one of {', '.join(allowed)}.")
    return frozenset(values)
