"""The routes below ``/admin/audit``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ingest_api.audit.audit_log import ActFilter
from ingest_api.audit.operations import (
    CHECK_AUDIT,
    LIST_ACTS,
    ActPage,
    AuditCheck,
    act_shown,
)
from ingest_api.errors import invalid_parameter
from ingest_api.openapi.described import described
from ingest_api.web.dates import parsed_time
from ingest_api.web.paging import page_of
from ingest_api.web.parameters import query_values

if TYPE_CHECKING:
    from datetime import datetime

    from sanic import Blueprint, Request

    from ingest_api.audit.audit_log import AuditLog


def add_audit_routes(api: Blueprint, audit: AuditLog) -> None:
    """Add the routes."""

    @api.get("/admin/audit")
    @described(LIST_ACTS)
    async def list_acts(request: Request[Any, Any]) -> ActPage:
        total, rows = await audit.select_page(_filter(request), page_of(request))
        return ActPage(total, [act_shown(row) for row in rows])

    @api.get("/admin/audit/check")
    @described(CHECK_AUDIT)
    async def check_audit(_request: Request[Any, Any]) -> AuditCheck:
        found = await audit.check()
        broken_at = found["broken_at"]
        return AuditCheck(
            rows=found["rows"],
            is_intact=broken_at is None,
            broken_at=None if broken_at is None else str(broken_at),
            seal=found["seal"],
        )

    _ = list_acts, check_audit


def _filter(request: Request[Any, Any]) -> ActFilter:
    """Read which acts the query asks for.

    Raises:
        InvalidRequestError: a filter is empty, or no time.
    """
    return ActFilter(
        accounts=_texts(request, "account"),
        kinds=_texts(request, "kind"),
        since=_time(request, "since"),
        until=_time(request, "until"),
    )


def _texts(request: Request[Any, Any], name: str) -> list[str] | None:
    values = query_values(request).get(name)
    if values is not None and not all(value and "\0" not in value for value in values):
        raise invalid_parameter(name, f"{name} is empty, or holds what no name does.")
    return values


def _time(request: Request[Any, Any], name: str) -> datetime | None:
    values = query_values(request).get(name, [])
    time = parsed_time(values[0].strip()) if len(values) == 1 else None
    if values and time is None:
        raise invalid_parameter(name, f"{name} is a time such as 2016-06-28T05:49:23Z, given once.")
    return time
