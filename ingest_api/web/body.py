"""Reads the bytes of a request's body as they come, within limits of size and time."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from ingest_api.errors import Detail, TooSlowError, invalid_file
from ingest_api.web.parameters import header, header_values, whole_number
from ingest_api.web.refused import Refused

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    from sanic import Request
    from sanic.asgi import ASGIApp

    from ingest_api.errors import IngestError


@dataclass(frozen=True, slots=True)
class BodyLimits:
    """The limits of a body: bytes in all, and seconds without a byte."""

    most_bytes: int | None
    idle_s: float


def check_declared(request: Request[Any, Any], limits: BodyLimits) -> None:
    """Refuse a body whose Content-Length is over the limit.

    Raises:
        Refused: 413, it is.
    """
    declared = whole_number(header(request, "content-length") or "")
    if declared is not None:
        check_size(declared, limits)


def check_coding(request: Request[Any, Any]) -> None:
    """Refuse a body in a content encoding.

    Raises:
        Refused: 415, it is.
    """
    if header_values(request, "content-encoding") not in ([], ["identity"]):
        raise Refused(415, "The body of this request must not be in a content encoding")


def check_size(size_bytes: int, limits: BodyLimits) -> None:
    """Refuse what is over the limit.

    Raises:
        Refused: 413, it is.
    """
    if limits.most_bytes is not None and size_bytes > limits.most_bytes:
        raise _too_large(limits.most_bytes)


async def body_pieces(
    request: Request[Any, Any],
    limits: BodyLimits,
    *,
    refuse: Callable[[Detail], IngestError] = invalid_file,
) -> AsyncGenerator[bytes]:
    """Yield the body in pieces of any size; each is read from the socket only when asked for.

    Raises:
        Refused: 413 at the first byte over the limit.
        TooSlowError: no byte came for too long.
        IngestError: what ``refuse`` makes of it where the connection ends before the body does.
    """
    # The framework's own reader takes a broken connection for the end of the body.
    transport = cast("ASGIApp", request.stream).transport
    received = 0
    more = True
    while more:
        try:
            async with asyncio.timeout(limits.idle_s):
                message = cast("dict[str, Any]", await transport.receive())
        except TimeoutError:
            raise TooSlowError(f"No byte of the body came for {limits.idle_s} s") from None
        if message["type"] == "http.disconnect":
            raise refuse(Detail("BODY_INCOMPLETE", "The request ends before its body does."))
        more = bool(message.get("more_body", False))
        piece: bytes = message.get("body", b"")
        received += len(piece)
        check_size(received, limits)
        if piece:
            yield piece


async def until_gone(request: Request[Any, Any]) -> None:
    """Wait until the client has gone; the body must have been read to its end."""
    transport = cast("ASGIApp", request.stream).transport
    while cast("dict[str, Any]", await transport.receive())["type"] != "http.disconnect":
        pass


def _too_large(most_bytes: int) -> Refused:
    return Refused(413, f"The body is larger than {most_bytes} bytes")
