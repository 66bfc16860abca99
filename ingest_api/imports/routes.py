"""`POST …/audience/import`."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from msgspec import UNSET

from ingest_api.auth.middleware import account_of
from ingest_api.dry_runs.answer import DryRunAnswer
from ingest_api.errors import Detail, invalid_file
from ingest_api.imports.accept_upload import ImportRequest
from ingest_api.imports.file_parts import PARTS, stored_pieces
from ingest_api.imports.inspect_operation import INSPECT
from ingest_api.imports.inspect_upload import inspect_upload
from ingest_api.imports.operations import IMPORT, NO_UPLOAD
from ingest_api.imports.part_routes import media_type, named_parts
from ingest_api.openapi.described import Answered, described
from ingest_api.openapi.response_types import ImportAccepted
from ingest_api.openapi.unknown_names import refuse_unknown_fields
from ingest_api.uploads.invalid_option import invalid_option
from ingest_api.uploads.multipart import FormError, UploadForm, boundary_of
from ingest_api.uploads.options import options_in_head
from ingest_api.uploads.raw_file import RawFile, raw_file
from ingest_api.web.body import body_pieces, check_declared, until_gone
from ingest_api.web.idempotency_key import idempotency_key
from ingest_api.web.parameters import header, header_values, query_values
from ingest_api.web.refused import Refused
from ingest_api.web.request_context import context_of
from schemas.log.job_states import UPLOAD_ACCEPTED

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from sanic import Blueprint, Request

    from ingest_api.attributes.definitions import AttributeDefinitions
    from ingest_api.imports.accept_upload import UploadAcceptance
    from ingest_api.inspections.answer import InspectionShown
    from ingest_api.openapi.operation import Operation
    from ingest_api.presets.presets import Presets
    from ingest_api.uploads.concurrency_limit import ConcurrencyLimit
    from ingest_api.uploads.receiver import UploadResources
    from ingest_api.web.body import BodyLimits


@dataclass(frozen=True, slots=True)
class BoundedUploads:
    """How many uploads may be under way, and how large and slow each may be."""

    concurrency: ConcurrencyLimit
    body: BodyLimits


def add_import_routes(
    api: Blueprint,
    uploads: UploadAcceptance,
    definitions: AttributeDefinitions,
    presets: Presets,
    *,
    limits: BoundedUploads,
) -> None:
    """Add the routes of imports and inspections."""

    async def received(
        request: Request[Any, Any],
        operation: Operation,
        form: UploadForm | RawFile,
        body: AsyncGenerator[bytes],
    ) -> ImportRequest:
        # Where Postgres doesn't answer, the upload is refused here: its job could not be seen.
        attributes = await definitions.usable()
        account = account_of(request)
        key = idempotency_key(header_values(request, "idempotency-key"), invalid_option)
        return ImportRequest(
            account=account,
            options=options_in_head(header_values(request, "delimiter"), query_values(request)),
            idempotency_key=key,
            attributes=attributes,
            form=form,
            check_fields=partial(refuse_unknown_fields, operation),
            body=body,
            until_gone=partial(until_gone, request),
            find_preset=presets.options,
            define=partial(definitions.define_text, account=account.name),
        )

    @contextlib.asynccontextmanager
    async def upload(
        request: Request[Any, Any], operation: Operation
    ) -> AsyncGenerator[ImportRequest]:
        form, body = await _file(request, uploads.resources, limits.body)
        with limits.concurrency.slot(account_of(request).name):
            async with contextlib.aclosing(body):
                yield await received(request, operation, form, body)

    @api.post("/audience/import", stream=True)
    @described(IMPORT)
    async def import_users(request: Request[Any, Any]) -> Answered | DryRunAnswer:
        async with upload(request, IMPORT) as asked:
            result = await uploads.accept(asked)
        if isinstance(result, DryRunAnswer):
            return result
        context_of(request).job_id = job_id = result.job_id
        status = f"{request.path.partition('/audience/')[0]}/batchinfo/status/{job_id}"
        notes = list(result.notes) or UNSET
        answer = ImportAccepted(id=str(job_id), message=UPLOAD_ACCEPTED, notes=notes)
        return Answered(answer, {"Location": status})

    @api.post("/audience/inspect", stream=True)
    @described(INSPECT)
    async def inspect_file(request: Request[Any, Any]) -> InspectionShown:
        async with upload(request, INSPECT) as asked:
            return await inspect_upload(asked, uploads.resources, limits.concurrency)

    _ = import_users, inspect_file


async def _file(
    request: Request[Any, Any], resources: UploadResources, limits: BodyLimits
) -> tuple[UploadForm | RawFile, AsyncGenerator[bytes]]:
    """Return the parser of what is uploaded, and its bytes: of the body, or of parts that it names.

    Raises:
        Refused: 413, it is too large; 415, it is neither a form nor a file.
        InvalidRequestError: it can't be used.
    """
    if media_type(request) != PARTS:
        form = _form(request)
        check_declared(request, limits)
        return form, body_pieces(request, limits)
    named, parts = await named_parts(request, limits)
    file = raw_file(named.type, "", *_file_name(query_values(request).get("fileName", [])))
    if file is None:
        raise Refused(415, NO_UPLOAD)
    return RawFile(file), stored_pieces(parts, resources)


def _form(request: Request[Any, Any]) -> UploadForm | RawFile:
    """Return the parser of the request's body.

    Raises:
        Refused: 415, it is neither a form nor a file.
        InvalidRequestError: its boundary can't be used, or a form's file is named in the query.
    """
    content_type = header(request, "content-type") or ""
    codings = header_values(request, "content-encoding")
    names = query_values(request).get("fileName", [])
    try:
        boundary = boundary_of(content_type)
    except FormError as error:
        raise invalid_file(Detail(error.code, str(error))) from None
    if boundary is None:
        file = raw_file(content_type, ",".join(codings).strip().lower(), *_file_name(names))
        if file is None:
            raise Refused(415, NO_UPLOAD)
        return RawFile(file)
    if codings not in ([], ["identity"]):
        raise Refused(415, "The body of an upload must not be in a content encoding")
    if names:
        raise invalid_option("fileName", "fileName is of a body without a form: name the part.")
    return UploadForm(boundary)


def _file_name(names: list[str]) -> list[str]:
    if len(names) > 1 or names == [""]:
        raise invalid_option("fileName", "fileName is one name that is not empty.")
    return names
