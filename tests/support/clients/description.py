"""The application and its OpenAPI description as the code has them, connected to nothing."""

from __future__ import annotations

import asyncio
from functools import cache
from typing import TYPE_CHECKING, Any

from sanic import Sanic

from ingest_api.app.application import make_application, make_parts
from ingest_api.app.settings import ApiSettings
from ingest_api.openapi.document import document_of
from schemas.config.environment import read

if TYPE_CHECKING:
    from collections.abc import Iterator

    Json = dict[str, Any]

_SETTINGS = {
    "ROLLCALL_KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1",
    "ROLLCALL_DATABASE_URL": "host=127.0.0.1 port=1",
}


@cache
def application() -> Sanic[Any, Any]:
    """The application with all its routes."""

    async def make() -> Sanic[Any, Any]:
        parts = make_parts(read(ApiSettings, _SETTINGS))
        made = make_application(parts)
        parts.passwords.close()
        parts.uploads.close()
        return made

    made = asyncio.run(make())
    Sanic.unregister_app(made)
    return made


@cache
def document() -> Json:
    """What it says of itself; not to be changed."""
    return document_of(application())


def operations() -> Iterator[tuple[str, Json]]:
    """Every operation by what it is called in a failure."""
    for path, methods in document()["paths"].items():
        for method, operation in methods.items():
            yield f"{method.upper()} {path}", operation
