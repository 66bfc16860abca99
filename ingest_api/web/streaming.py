"""Sends answers piece by piece, for as long as the client reads them, and rows as files."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final, cast

import structlog
from sanic.response import HTTPResponse

from ingest_api.errors import LogUnavailableError, StoreUnavailableError, invalid_parameter
from ingest_api.formats.tables import FORMATS
from ingest_api.web.content_negotiation import CONTENT_TYPES, CSV, NDJSON, PARQUET, preferred
from ingest_api.web.paging import TOTAL_COUNT
from ingest_api.web.parameters import header_values, query_values
from ingest_api.web.request_context import context_of

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping

    from sanic import Request
    from sanic.asgi import ASGIApp

    from ingest_api.formats.tables import Format
    from ingest_api.postgres.row_stream import RowStream

_MOST_SEND_S: Final = 30.0
"""A client that takes nothing for so long gets no more."""
_MOST_SEND_BYTES: Final = 1 << 18
"""A slow client must take only so many in that time, however large a piece is."""
_MEDIA_TYPES: Final[Mapping[str, Format]] = {CSV: "csv", NDJSON: "ndjson", PARQUET: "parquet"}
_TYPES_OF: Final = {name: media_type for media_type, name in _MEDIA_TYPES.items()}
_log = structlog.stdlib.get_logger("rollcall.api")


async def send_stream(
    request: Request[Any, Any],
    pieces: AsyncGenerator[bytes],
    *,
    content_type: str,
    headers: Mapping[str, str] | None = None,
) -> None:
    """Send the pieces as they come; return once they have ended, or the client has gone.

    The generator is closed as soon as the client has gone.
    Where it fails, or the client takes nothing for too long, the connection is broken.
    """
    head = {"Cache-Control": "no-store", **(headers or {})}
    response = HTTPResponse(headers=head, content_type=content_type)
    await request.respond(response)
    sending = asyncio.create_task(_send_all(response, pieces))
    leaving = asyncio.create_task(_client_gone(request))
    try:
        await asyncio.wait({sending, leaving}, return_when=asyncio.FIRST_COMPLETED)
        if not sending.done() or sending.exception():
            context_of(request).is_cut_off = True
            _note(sending)
    finally:
        for task in (sending, leaving):
            task.cancel()
        await asyncio.wait({sending, leaving})
        await pieces.aclose()


async def send_rows(
    request: Request[Any, Any], rows: RowStream, *, content_type: str, headers: Mapping[str, str]
) -> None:
    """Send the rows as they come, and close them."""
    total = {} if rows.total is None else {TOTAL_COUNT: str(rows.total)}
    try:
        await send_stream(
            request, rows.pieces(), content_type=content_type, headers={**headers, **total}
        )
    finally:
        await rows.close()


def requested_format(request: Request[Any, Any]) -> Format:
    """Return the format that the query names; without it `Accept` decides, and CSV is the first.

    Raises:
        InvalidRequestError: there is no such format.
    """
    values = query_values(request).get("format")
    if values is None:
        accepted = preferred(header_values(request, "accept"), tuple(_MEDIA_TYPES))
        return _MEDIA_TYPES[accepted or CSV]
    for known in FORMATS:
        if values == [known]:
            return known
    raise invalid_parameter("format", f"format is one of {', '.join(FORMATS)}.")


async def send_file(
    request: Request[Any, Any], rows: RowStream, name: str, as_format: Format
) -> None:
    """Send the rows as a file of this name, and close them."""
    headers = {
        "Vary": "Accept",
        "Content-Disposition": f'attachment; filename="{name}.{as_format}"',
    }
    await send_rows(
        request, rows, content_type=CONTENT_TYPES[_TYPES_OF[as_format]], headers=headers
    )


async def _send_all(response: HTTPResponse, pieces: AsyncGenerator[bytes]) -> None:
    await response.send("", end_stream=False)
    async for piece in pieces:
        for start in range(0, len(piece), _MOST_SEND_BYTES):
            async with asyncio.timeout(_MOST_SEND_S):
                part = piece[start : start + _MOST_SEND_BYTES]
                await response.send(part, end_stream=False)


async def _client_gone(request: Request[Any, Any]) -> None:
    transport = cast("ASGIApp", request.stream).transport
    while (await transport.receive())["type"] != "http.disconnect":
        pass


def _note(sending: asyncio.Task[None]) -> None:
    error = sending.exception() if sending.done() else None
    if isinstance(error, (StoreUnavailableError, LogUnavailableError, TimeoutError)):
        reason = type(error).__name__
        _log.warning("answer cut off", reason=reason)
    elif error is not None:
        _log.error("request failed", exc_info=error)
