"""Streamed answers, as the server gets them."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from sanic import Sanic

from ingest_api.web.asgi_middleware import AsgiMiddleware
from ingest_api.web.streaming import send_stream
from tests.support.clients.asgi import scope_of_get

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from sanic import Request

    from ingest_api.web.asgi_middleware import Message

PIECES = [b"head", b"", bytes(range(256)) * 10_000, b"end"]


def test_a_large_piece_is_sent_in_small_parts() -> None:
    """A client that takes 9 KB a second is slow, and not gone: it has half a minute for each."""
    app: Sanic[Any, Any] = Sanic("streaming", configure_logging=False)

    @app.get("/pieces")
    async def pieces(request: Request[Any, Any]) -> None:
        async def made() -> AsyncGenerator[bytes]:
            for piece in PIECES:
                yield piece

        await send_stream(request, made(), content_type="text/csv")

    _ = pieces
    try:
        sent = asyncio.run(answered(app, "/pieces"))
    finally:
        Sanic.unregister_app(app)
    assert b"".join(sent) == b"".join(PIECES)
    assert max(map(len, sent)) <= 300_000


async def answered(app: Sanic[Any, Any], path: str) -> list[bytes]:
    """The parts of the body as they are handed to the server."""
    sent: list[bytes] = []
    coming: list[Message] = [
        {"type": "lifespan.startup"},
        {"type": "lifespan.shutdown"},
        {"type": "http.request", "body": b"", "more_body": False},
    ]

    async def receive() -> Message:
        if not coming:
            await asyncio.Event().wait()
        return coming.pop(0)

    async def send(message: Message) -> None:
        sent.append(message.get("body", b""))

    server = AsgiMiddleware(app)
    await server({"type": "lifespan"}, receive, send)
    await server(scope_of_get(path), receive, send)
    return sent
