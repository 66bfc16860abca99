"""`POST …/audience/parts`, and the parts that a request names."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ingest_api.auth.middleware import account_of
from ingest_api.errors import InvalidRequestError, invalid_file
from ingest_api.imports.file_parts import (
    MOST_PART_BYTES,
    FileParts,
    keep_part,
    name_of,
    part_named,
    unknown_part,
)
from ingest_api.imports.part_operation import BYTES, KEEP_PART, PartKept
from ingest_api.openapi.described import described
from ingest_api.web.body import body_pieces, check_coding, check_declared, check_size
from ingest_api.web.json_body import decoded, whole_body
from ingest_api.web.parameters import header
from ingest_api.web.refused import Refused

if TYPE_CHECKING:
    from sanic import Blueprint, Request

    from ingest_api.imports.routes import BoundedUploads
    from ingest_api.kafka.upload_chunks import StoredFile
    from ingest_api.uploads.receiver import UploadResources
    from ingest_api.web.body import BodyLimits


def add_part_routes(api: Blueprint, resources: UploadResources, limits: BoundedUploads) -> None:
    """Add the route; a part counts as an upload while it comes."""
    most = min(MOST_PART_BYTES, limits.body.most_bytes or MOST_PART_BYTES)
    bounds = replace(limits.body, most_bytes=most)

    @api.post("/audience/parts", stream=True)
    @described(KEEP_PART)
    async def send_part(request: Request[Any, Any]) -> PartKept:
        account = account_of(request).name
        if media_type(request) != BYTES:
            raise Refused(415, f"A part of a file is sent as {BYTES}")
        check_coding(request)
        check_declared(request, bounds)
        with limits.concurrency.slot(account):
            async with limits.concurrency.receiving():
                part = await keep_part(account, body_pieces(request, bounds), resources)
        return PartKept(name_of(part), part.size_bytes, part.sha256)

    _ = send_part


def media_type(request: Request[Any, Any]) -> str:
    """Return the media type of the request's body, without its parameters."""
    return (header(request, "content-type") or "").partition(";")[0].strip().lower()


async def named_parts(
    request: Request[Any, Any], limits: BodyLimits
) -> tuple[FileParts, list[StoredFile]]:
    """Return what the body says of a file, and the parts that it names.

    Raises:
        Refused: 413, all parts together are over the limit.
        InvalidRequestError: the body is not what it may be.
    """
    try:
        named = decoded(await whole_body(request), FileParts)
    except InvalidRequestError as error:
        raise invalid_file(*error.details) from None
    if len({*named.parts}) < len(named.parts):
        raise unknown_part()
    parts = [part_named(name, account_of(request).name) for name in named.parts]
    check_size(sum(part.size_bytes for part in parts), limits)
    return named, parts
