"""`POST …/audience/import`."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from ingest_api.attributes.queries import select_attributes
from ingest_api.auth.middleware import account_of
from ingest_api.dry_runs.answer import DryRunAnswer
from ingest_api.errors import Detail, invalid_file
from ingest_api.imports.accept_upload import ImportRequest
from ingest_api.imports.inspect_operation import INSPECT
from ingest_api.imports.inspect_upload import inspect_upload
from ingest_api.imports.operations import IMPORT
from ingest_api.openapi.described import described
from ingest_api.openapi.response_types import ImportAccepted
from ingest_api.openapi.unknown_names import refuse_unknown_fields
from ingest_api.uploads.invalid_option import invalid_option
from ingest_api.uploads.multipart import FormError, boundary_of
from ingest_api.uploads.options import options_in_head
from ingest_api.web.body import body_pieces, check_declared, until_gone
from ingest_api.web.idempotency_key import idempotency_key
from ingest_api.web.parameters import header, header_values, query_values
from ingest_api.web.refused import Refused
from ingest_api.web.request_context import context_of
from schemas.log.job_states import UPLOAD_ACCEPTED

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sanic import Blueprint, Request

    from ingest_api.imports.accept_upload import UploadAcceptance
    from ingest_api.inspections.answer import InspectionShown
    from ingest_api.openapi.operation import Operation
    from ingest_api.postgres.pool import Database
    from ingest_api.uploads.concurrency_limit import ConcurrencyLimit
    from ingest_api.web.body import BodyLimits
    from schemas.rules.attributes import Attribute


def add_import_route(
    api: Blueprint,
    uploads: UploadAcceptance,
    *,
    database: Database,
    concurrency: ConcurrencyLimit,
    limits: BodyLimits,
) -> None:
    """Add the import's route."""

    @api.post("/audience/import", stream=True)
    @described(IMPORT)
    async def import_users(request: Request[Any, Any]) -> ImportAccepted | DryRunAnswer:
        account = account_of(request, "importer")
        _check_media(request)
        check_declared(request, limits)
        with concurrency.slot(account.name):
            # Where Postgres doesn't answer, the upload is refused here: its job could not be seen.
            attributes = await select_attributes(database)
            result = await uploads.accept(_import_request(request, limits, attributes, IMPORT))
        if isinstance(result, DryRunAnswer):
            return result
        context_of(request).job_id = result
        return ImportAccepted(id=str(result), message=UPLOAD_ACCEPTED)

    @api.post("/audience/inspect", stream=True)
    @described(INSPECT)
    async def inspect_file(request: Request[Any, Any]) -> InspectionShown:
        account = account_of(request, "importer")
        _check_media(request)
        check_declared(request, limits)
        with concurrency.slot(account.name):
            attributes = await select_attributes(database)
            asked = _import_request(request, limits, attributes, INSPECT)
            return await inspect_upload(asked, uploads.resources, concurrency)

    _ = import_users, inspect_file


def _import_request(
    request: Request[Any, Any],
    limits: BodyLimits,
    attributes: Sequence[Attribute],
    operation: Operation,
) -> ImportRequest:
    return ImportRequest(
        account=account_of(request, "importer"),
        options=options_in_head(header_values(request, "delimiter"), query_values(request)),
        idempotency_key=idempotency_key(header_values(request, "idempotency-key"), invalid_option),
        attributes=attributes,
        boundary=_boundary(request),
        check_fields=partial(refuse_unknown_fields, operation),
        body=body_pieces(request, limits),
        until_gone=partial(until_gone, request),
    )


def _check_media(request: Request[Any, Any]) -> None:
    if header_values(request, "content-encoding") not in ([], ["identity"]):
        raise Refused(415, "The body of an upload must not be in a content encoding")
    _boundary(request)


def _boundary(request: Request[Any, Any]) -> bytes:
    try:
        boundary = boundary_of(header(request, "content-type"))
    except FormError as error:
        raise invalid_file(Detail(error.code, str(error))) from None
    if boundary is None:
        raise Refused(415, "An upload must be multipart/form-data")
    return boundary
