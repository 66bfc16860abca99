"""The public routes ``/`` and ``/page/…``: the files of the page."""

from __future__ import annotations

from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Any, Final

from ingest_api.errors import NotFoundError
from ingest_api.openapi.described import described
from ingest_api.openapi.operation import TEXT_BODY, path_parameter
from ingest_api.openapi.routes import HTML, NO_FILE, content_policy, file_answer, file_operation
from ingest_api.openapi.served_file import ServedFile

if TYPE_CHECKING:
    from sanic import Blueprint, HTTPResponse, Request

_MEDIA_TYPES: Final = {
    "html": "text/html; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "svg": "image/svg+xml",
}
_INDEX: Final = "index.html"
_POLICY: Final = content_policy(
    more="; require-trusted-types-for 'script'; trusted-types 'none'",
)
_PAGE: Final = file_operation("The page for people", HTML)
_PAGE_FILE: Final = file_operation(
    "What the page is made of",
    {each.partition(";")[0]: TEXT_BODY for each in _MEDIA_TYPES.values()},
    path_parameter("name", "Of the file.", example="app.js"),
    what="The file.",
    missing=NO_FILE,
)


def add_page_routes(public: Blueprint) -> None:
    """Add the routes."""

    @public.get("/", ctx_public=True)
    @described(_PAGE)
    async def page(request: Request[Any, Any]) -> HTTPResponse:
        return file_answer(request, _files()[_INDEX], _POLICY)

    @public.get("/page/<name:str>", ctx_public=True)
    @described(_PAGE_FILE)
    async def page_file(request: Request[Any, Any], name: str) -> HTTPResponse:
        file = _files().get(name)
        if file is None:
            raise NotFoundError(NO_FILE)
        return file_answer(request, file, _POLICY)

    _ = page, page_file


@cache
def _files() -> dict[str, ServedFile]:
    folder = resources.files("ingest_api.page").joinpath("files")
    return {
        file.name: ServedFile(file.read_bytes(), _MEDIA_TYPES[kind])
        for file in folder.iterdir()
        if (kind := file.name.rpartition(".")[2]) in _MEDIA_TYPES
    }
