"""The public routes of the OpenAPI document, its viewer, and the AsyncAPI document."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Any, Final

import msgspec
from sanic.response import HTTPResponse

from ingest_api.errors import NotFoundError
from ingest_api.openapi.described import described
from ingest_api.openapi.document import document_of
from ingest_api.openapi.guide import INDEX, NO_PAGE, page
from ingest_api.openapi.operation import (
    JSON,
    TEXT_BODY,
    Answer,
    Operation,
    Parameter,
    path_parameter,
    refused,
)
from ingest_api.openapi.served_file import ServedFile
from ingest_api.web.parameters import header_values
from schemas.asyncapi import document as asyncapi

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sanic import Blueprint, Request, Sanic

    from schemas.config.settings import Settings


def content_policy(*, images: str = "'self'", more: str = "") -> str:
    """Return a Content-Security-Policy under which a page runs only what this server sends."""
    return (
        f"default-src 'none'; script-src 'self'; style-src 'self'; img-src {images}; "
        f"connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'{more}"
    )


_SCRIPT: Final = "text/javascript; charset=utf-8"
_PAGE: Final = "text/html; charset=utf-8"
_FILES: Final = {
    "swagger-ui.css": ("swagger-ui/swagger-ui.css", "text/css; charset=utf-8"),
    "swagger-ui-bundle.js": ("swagger-ui/swagger-ui-bundle.js", _SCRIPT),
    "favicon-32x32.png": ("swagger-ui/favicon-32x32.png", "image/png"),
    "viewer.js": ("viewer.js", _SCRIPT),
    "guide.css": ("guide.css", "text/css; charset=utf-8"),
}
"""The files of the viewer's page: path below `viewer`, and media type."""
_ASYNCAPI: Final = "asyncapi.json"
NO_FILE: Final = "There is no such file"
# Swagger UI's pictures are data: URLs in its stylesheet; nothing else comes from outside.
_POLICY: Final = content_policy(images="'self' data:")
_CACHED: Final = {"ETag": "Of this content; for `If-None-Match`."}
_NOT_MODIFIED: Final = Answer(
    description="Unchanged since the ETag in `If-None-Match`.", bodies={}, headers=_CACHED
)
_IF_NONE_MATCH: Final = Parameter(
    name="If-None-Match",
    place="header",
    description="ETags of what the client has already.",
    schema={"type": "string"},
    example='"0123456789abcdef"',
)


def file_operation(
    summary: str,
    bodies: Mapping[str, Any],
    *parameters: Parameter,
    what: str = "The page.",
    missing: str | None = None,
) -> Operation:
    """Return the operation of a file that anybody may be sent.

    ``bodies`` has a schema by media type, ``missing`` is said where there is no such file.
    """
    unknown = {} if missing is None else {404: refused(missing)}
    return Operation(
        summary=summary,
        tag="Service",
        role=None,
        parameters=(*parameters, _IF_NONE_MATCH),
        answers={200: Answer(what, bodies, headers=_CACHED), 304: _NOT_MODIFIED, **unknown},
    )


HTML: Final = {"text/html": TEXT_BODY}
_DOCUMENT: Final = file_operation(
    "This description",
    {JSON: {"type": "object", "required": ["openapi", "info", "paths"]}},
    what="An OpenAPI 3.1 document.",
)
_VIEWER: Final = file_operation("This description as a page", HTML)
_GUIDE: Final = file_operation("The guide: how to import, run and build on Rollcall", HTML)
_GUIDE_PAGE: Final = file_operation(
    "A page of the guide",
    HTML,
    path_parameter("name", "Of the page.", example="tutorial.md"),
    missing=NO_PAGE,
)
_VIEWER_FILE: Final = replace(
    file_operation(
        "What the page is made of, and the description of the topics",
        {
            "text/javascript": TEXT_BODY,
            "text/css": TEXT_BODY,
            "image/png": {"type": "string", "contentMediaType": "image/png"},
            JSON: {"type": "object"},
        },
        path_parameter("name", "Of the file.", example="viewer.js", enum=[*_FILES, _ASYNCAPI]),
        what="The file.",
        missing=NO_FILE,
    ),
    description="`asyncapi.json` is an AsyncAPI 3.0 document, for other producers and consumers.",
)


def add_description_routes(public: Blueprint, settings: Settings) -> None:
    """Add ``/openapi.json`` and what is below ``/docs``."""
    topics = asyncapi.document(settings.topics, settings.reconciliation_key)
    of_topics = ServedFile(msgspec.json.encode(topics), JSON)

    @public.get("/openapi.json", ctx_public=True)
    @described(_DOCUMENT)
    async def description(request: Request[Any, Any]) -> HTTPResponse:
        return file_answer(request, _document(request.app), _POLICY)

    @public.get("/docs", ctx_public=True)
    @described(_VIEWER)
    async def viewer(request: Request[Any, Any]) -> HTTPResponse:
        return file_answer(request, _file("index.html", _PAGE), _POLICY)

    @public.get("/docs/<name:str>", ctx_public=True)
    @described(_VIEWER_FILE)
    async def viewer_file(request: Request[Any, Any], name: str) -> HTTPResponse:
        if name == _ASYNCAPI:
            return file_answer(request, of_topics, _POLICY)
        if name not in _FILES:
            raise NotFoundError(NO_FILE)
        return file_answer(request, _file(*_FILES[name]), _POLICY)

    @public.get("/docs/guide", ctx_public=True)
    @described(_GUIDE)
    async def guide(request: Request[Any, Any]) -> HTTPResponse:
        return file_answer(request, page(INDEX), _POLICY)

    @public.get("/docs/guide/<name:path>", ctx_public=True)
    @described(_GUIDE_PAGE)
    async def guide_page(request: Request[Any, Any], name: str) -> HTTPResponse:
        return file_answer(request, page(name), _POLICY)

    _ = description, viewer, viewer_file, guide, guide_page


@cache
def _document(app: Sanic[Any, Any]) -> ServedFile:
    return ServedFile(msgspec.json.encode(document_of(app)), JSON)


@cache
def _file(path: str, media_type: str) -> ServedFile:
    viewer = resources.files("ingest_api.openapi").joinpath("viewer")
    return ServedFile(viewer.joinpath(path).read_bytes(), media_type)


def file_answer(request: Request[Any, Any], file: ServedFile, policy: str) -> HTTPResponse:
    """Return the file, or 304 where the client has it already; ``policy`` is its page's."""
    headers = {
        "Content-Security-Policy": policy,
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
        "Cache-Control": "no-cache",
        "ETag": file.etag,
        "Vary": "Accept-Encoding",
    }
    if _tags(request, "if-none-match") & {file.etag, "*"}:
        return HTTPResponse(status=304, headers=headers)
    content = file.content
    if file.packed is not None and "gzip" in _tags(request, "accept-encoding"):
        # A strong ETag is of one encoding (RFC 9110, 8.8.3).
        content = file.packed
        headers |= {"Content-Encoding": "gzip", "ETag": f"W/{file.etag}"}
    return HTTPResponse(content, headers=headers, content_type=file.media_type)


def _tags(request: Request[Any, Any], name: str) -> set[str]:
    """Return the members of a header that is a list, as ETags are compared: weakly."""
    values = ",".join(header_values(request, name)).split(",")
    return {each.strip().removeprefix("W/") for each in values}
