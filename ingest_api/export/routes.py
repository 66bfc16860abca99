"""`GET …/audience/export`, `…/audience/person` and `…/batchinfo/results/{id}`."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from ingest_api.auth.middleware import account_of
from ingest_api.errors import invalid_parameter
from ingest_api.export.audience import Export, exported_users
from ingest_api.export.operations import EXPORT, JOB_RESULTS, PERSON
from ingest_api.jobs.job_parameter import job_named
from ingest_api.openapi.described import described
from ingest_api.users.read_routes import filter_of
from ingest_api.web.parameters import query_values
from ingest_api.web.streaming import requested_format, send_file
from schemas.rules.characters import stripped_value

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sanic import Blueprint, Request

    from ingest_api.as_of.parameters import AsOfParameters
    from ingest_api.event_log.job_events import JobLog
    from ingest_api.export.job_results import JobResults
    from ingest_api.export.person import PersonReader
    from ingest_api.openapi.response_types import Person
    from ingest_api.postgres.row_stream import RowStream, RowStreams


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
        changes = job_log.ledger.attribute_changes
        retired = {name for name, change in changes.items() if change.is_retired}
        export = Export(users, _columns(query), requested_format(request), retired)
        work = partial(exported_users, export=export, reconciliation_key=reconciliation_key)

        async def open_stream(schema: str) -> RowStream:
            return await streams.open(work, {"schema": schema})

        rows = await points.read(request, account, open_stream)
        await send_file(request, rows, "audience", export.format)

    _ = export_users


def add_person_route(
    api: Blueprint, persons: PersonReader, *, job_log: JobLog, reconciliation_key: str
) -> None:
    """Add the route `GET …/audience/person`."""

    @api.get("/audience/person")
    @described(PERSON)
    async def person(request: Request[Any, Any]) -> Person:
        values = query_values(request).get("key", [])
        if len(values) != 1 or not stripped_value(values[0]) or "\0" in values[0]:
            raise invalid_parameter("key", "key is what tells users apart, such as an email.")
        return await persons.read(values[0], job_log, reconciliation_key)

    _ = person


def add_result_route(
    api: Blueprint, results: JobResults, streams: RowStreams, job_log: JobLog
) -> None:
    """Add the route `GET …/batchinfo/results/{id}`."""

    @api.get("/batchinfo/results/<job_id:str>")
    @described(JOB_RESULTS)
    async def job_results(request: Request[Any, Any], job_id: str) -> None:
        as_format = requested_format(request)
        job = await job_named(request, job_log, job_id)
        accepted, number = job.accepted, job.accepted.job_id
        is_undone = job_log.ledger.reverts.reverted(number) is not None
        work = partial(results.rows, accepted=accepted, is_undone=is_undone, as_format=as_format)
        await send_file(request, await streams.open(work), f"results-{number}", as_format)

    _ = job_results


def _columns(query: Mapping[str, list[str]]) -> list[str] | None:
    values = query.get("columns")
    if values is None:
        return None
    return [name.strip() for value in values for name in value.split(",")]
