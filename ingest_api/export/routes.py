"""`GET …/audience/export` and `…/person`."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Final

from ingest_api.auth.middleware import account_of
from ingest_api.errors import invalid_parameter
from ingest_api.export.audience import FORMATS, Export, exported_users
from ingest_api.export.operations import EXPORT, PERSON
from ingest_api.openapi.described import described
from ingest_api.users.read_routes import filter_of
from ingest_api.web.content_negotiation import CSV, NDJSON, PARQUET, preferred
from ingest_api.web.parameters import header_values, query_values
from ingest_api.web.streaming import send_rows

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sanic import Blueprint, Request

    from ingest_api.as_of.parameters import AsOfParameters
    from ingest_api.event_log.job_events import JobLog
    from ingest_api.export.audience import Format
    from ingest_api.export.person import PersonReader
    from ingest_api.openapi.response_types import Person
    from ingest_api.postgres.row_stream import RowStream, RowStreams

_MEDIA_TYPES: Final[Mapping[str, Format]] = {CSV: "csv", NDJSON: "ndjson", PARQUET: "parquet"}
_CONTENT_TYPES: Final[Mapping[Format, str]] = {
    "csv": f"{CSV}; charset=utf-8; header=present",
    "ndjson": NDJSON,
    "parquet": PARQUET,
}


def add_export_route(
    api: Blueprint,
    points: AsOfParameters,
    streams: RowStreams,
    *,
    job_log: JobLog,
    reconciliation_key: str,
) -> None:
    """Add the route."""

    @api.get("/audience/export")
    @described(EXPORT)
    async def export_users(request: Request[Any, Any]) -> None:
        account = account_of(request).name
        query = query_values(request)
        users = await filter_of(request, job_log)
        export = Export(users, _columns(query), _format(request))
        work = partial(exported_users, export=export, reconciliation_key=reconciliation_key)

        async def open_stream(schema: str) -> RowStream:
            return await streams.open(work, {"schema": schema})

        rows = await points.read(request, account, open_stream)
        name = f"audience.{export.format}"
        headers = {"Vary": "Accept", "Content-Disposition": f'attachment; filename="{name}"'}
        await send_rows(request, rows, content_type=_CONTENT_TYPES[export.format], headers=headers)

    _ = export_users


def add_person_route(
    api: Blueprint, persons: PersonReader, *, job_log: JobLog, reconciliation_key: str
) -> None:
    """Add the route `GET …/audience/person`."""

    @api.get("/audience/person")
    @described(PERSON)
    async def person(request: Request[Any, Any]) -> Person:
        values = query_values(request).get("key", [])
        if len(values) != 1 or not values[0].strip() or "\0" in values[0]:
            raise invalid_parameter("key", "key is what tells users apart, such as an email.")
        return await persons.read(values[0], job_log, reconciliation_key)

    _ = person


def _format(request: Request[Any, Any]) -> Format:
    values = query_values(request).get("format")
    if values is None:
        accepted = preferred(header_values(request, "accept"), tuple(_MEDIA_TYPES))
        return _MEDIA_TYPES[accepted or CSV]
    for known in FORMATS:
        if values == [known]:
            return known
    raise invalid_parameter("format", f"format is one of {', '.join(FORMATS)}.")


def _columns(query: Mapping[str, list[str]]) -> list[str] | None:
    values = query.get("columns")
    if values is None:
        return None
    return [name.strip() for value in values for name in value.split(",")]
