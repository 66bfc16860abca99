"""The routes below ``/admin/projections``: tables made from the log beside the live ones."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import structlog

from ingest_api.auth.middleware import account_of
from ingest_api.errors import (
    ConflictError,
    Detail,
    InvalidRequestError,
    NotFoundError,
    UnavailableError,
)
from ingest_api.openapi.described import described
from ingest_api.projections.operations import (
    LIST_PROJECTIONS,
    REQUEST_PROJECTION,
    SHOW_PROJECTION,
    UNKNOWN_PROJECTION,
    ProjectionPage,
    ProjectionRequest,
    projection_of,
)
from ingest_api.web.json_body import INVALID_BODY, json_body
from ingest_api.web.paging import page_of
from ingest_api.web.parameters import whole_number
from ingest_api.web.request_context import note_act

if TYPE_CHECKING:
    from sanic import Blueprint, Request

    from ingest_api.errors import IngestError
    from ingest_api.kafka.log_start import LogStartCheck
    from ingest_api.projections.operations import Projection
    from ingest_api.projections.registry import Instance, InstanceRegistry

_MOST_NUMBER: Final = 2**31 - 1
_log = structlog.stdlib.get_logger("rollcall.api")


def add_projection_routes(
    api: Blueprint, instances: InstanceRegistry, log_start: LogStartCheck
) -> None:
    """Add the routes."""

    @api.get("/admin/projections")
    @described(LIST_PROJECTIONS)
    async def list_projections(request: Request[Any, Any]) -> ProjectionPage:
        total, found = await instances.select_page(page_of(request))
        return ProjectionPage(total, [projection_of(each) for each in found])

    @api.get("/admin/projections/<number:str>")
    @described(SHOW_PROJECTION)
    async def show_projection(_request: Request[Any, Any], number: str) -> Projection:
        return projection_of(await _fetch(instances, number))

    @api.post("/admin/projections", stream=True)
    @described(REQUEST_PROJECTION)
    async def request_projection(request: Request[Any, Any]) -> Projection:
        account = account_of(request)
        body = await json_body(request, ProjectionRequest)
        note_act(request, body.purpose, mend=body.mend or None)
        _check(body)
        await log_start.check()
        number = await instances.request(body.purpose, mends=body.mend, by=account.name)
        if number is None:
            raise await _refusal(instances)
        _log.info("projection requested", number=number, purpose=body.purpose, by=account.name)
        return projection_of(await _fetch(instances, str(number)))

    _ = list_projections, show_projection, request_projection


def _check(body: ProjectionRequest) -> None:
    if body.mend and body.purpose != "rebuild":
        message = "mend is for a rebuild: a verification changes nothing."
        raise InvalidRequestError(INVALID_BODY, [Detail("VALUE_INVALID", message, column="mend")])


async def _refusal(instances: InstanceRegistry) -> IngestError:
    """Say why none was taken: one is at work, or nobody has made the registry."""
    at_work = await instances.fetch_at_work()
    if at_work is not None:
        what = f"Projection {at_work.number} ({at_work.purpose}) is at work"
        return ConflictError(f"{what}, {at_work.progress}")
    return UnavailableError("No processor has made its tables yet: try again once one runs")


async def _fetch(instances: InstanceRegistry, text: str) -> Instance:
    number = whole_number(text, _MOST_NUMBER)
    instance = None if number is None else await instances.fetch(number)
    if instance is None:
        raise NotFoundError(UNKNOWN_PROJECTION)
    return instance
