"""One request and its answer, seen from the server's side of the framework.

The framework never sees how a connection ends: whoever answers before the body
has been read must say ``Connection: close`` and go on discarding for a moment.
Closing a socket that holds unread bytes makes the kernel send a reset, and a
reset can overtake the answer (RFC 9112, 9.6).
"""

from __future__ import annotations

import asyncio
import json
import secrets
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, cast

import structlog
from sanic.exceptions import SanicException

from ingest_api.web.responses import SERVER_FAILURE

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, MutableMapping

    from sanic import Request

    Message = MutableMapping[str, Any]
    Receive = Callable[[], Awaitable[Message]]
    Send = Callable[[Message], Awaitable[None]]
    Application = Callable[[Message, Receive, Send], Awaitable[None]]

_LINGER_IDLE_S: Final = 0.5
_LINGER_MOST_S: Final = 5.0
_KEY: Final = "rollcall.exchange"
_log = structlog.stdlib.get_logger("rollcall.api")


@dataclass(slots=True)
class Exchange:
    """What is known of one request while it is answered; its log line in the end.

    An answer that was begun and can't be brought to its end is cut off: nothing more of
    it is sent, so the server breaks the connection, and nobody takes a part for the whole.
    """

    request_id: str
    has_body: bool
    account: str | None = None
    job_id: int | None = None
    route: str | None = None
    status: int | None = None
    received_bytes: int = 0
    is_body_ended: bool = False
    is_client_gone: bool = False
    is_cut_off: bool = False
    started_at_s: float = field(default_factory=time.monotonic)


def exchange_of(request: Request[Any, Any]) -> Exchange:
    """The exchange that this request belongs to."""
    return cast("Exchange", request.scope["state"][_KEY])


class FrontDoor:
    """The ASGI application around the framework's."""

    def __init__(self, application: Application) -> None:
        self._application = application

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answer one request, log it, and see its connection to an end."""
        if scope["type"] != "http":
            await self._application(scope, receive, send)
            return
        exchange = Exchange(secrets.token_hex(8), _has_body(scope))
        scope.setdefault("state", {})[_KEY] = exchange
        line = _Line(receive, send, exchange)
        try:
            await self._answer(scope, line, exchange)
            if exchange.has_body:
                await _linger(line, exchange)
        finally:
            line.let_go()

    async def _answer(self, scope: Message, line: _Line, exchange: Exchange) -> None:
        try:
            if _is_ambiguous(scope):
                await _send_failure(line, 400, "Bad request", exchange)
                return
            await self._application(scope, line.receive, line.send)
        except SanicException as error:  # raised before there is a request to route
            await _send_failure(line, error.status_code, "Bad request", exchange)
        except Exception:  # noqa: BLE001 - whatever it is, the client gets an answer
            _log.exception("request failed", request_id=exchange.request_id)
            if exchange.status is None:
                await _send_failure(line, 500, SERVER_FAILURE, exchange)
        finally:
            _log_request(scope, exchange)


def _is_ambiguous(scope: Message) -> bool:
    """Whether two readers of the head could understand it differently, though the server took it.

    RFC 9112: one Host (3.2), and chunked as the only transfer coding, named once (6.1).
    """
    headers = cast("list[tuple[bytes, bytes]]", scope["headers"])
    hosts = [value for name, value in headers if name == b"host"]
    codings = [value.strip().lower() for name, value in headers if name == b"transfer-encoding"]
    is_host_wrong = len(hosts) != 1 and scope["http_version"] == "1.1"
    return is_host_wrong or codings not in ([], [b"chunked"])


def _has_body(scope: Message) -> bool:
    headers = dict(cast("list[tuple[bytes, bytes]]", scope["headers"]))
    return b"transfer-encoding" in headers or headers.get(b"content-length", b"0") != b"0"


class _Line:
    """The server's end of the connection, noting on the way what becomes of the exchange.

    The framework keeps it in reference cycles, and the server closes the connection
    only once nothing holds its end any more: so it is let go, not left to the
    garbage collector.
    """

    def __init__(self, receive: Receive, send: Send, exchange: Exchange) -> None:
        self._receive: Receive | None = receive
        self._send: Send | None = send
        self._exchange = exchange

    def let_go(self) -> None:
        """Give the connection back to the server; what is asked of it from now on is in vain."""
        self._receive = self._send = None

    async def receive(self) -> Message:
        if self._receive is None:
            return {"type": "http.disconnect"}
        message = await self._receive()
        exchange = self._exchange
        exchange.received_bytes += len(message.get("body", b""))
        exchange.is_client_gone |= message["type"] == "http.disconnect"
        exchange.is_body_ended |= exchange.is_client_gone or not message.get("more_body", False)
        return message

    async def send(self, message: Message) -> None:
        exchange = self._exchange
        if self._send is None or exchange.is_cut_off:
            return
        if message["type"] == "http.response.start":
            exchange.status = message["status"]
            headers = [(b"x-request-id", exchange.request_id.encode())]
            if exchange.has_body and not exchange.is_body_ended:
                headers.append((b"connection", b"close"))
            message["headers"] = [*message["headers"], *headers]
        await self._send(message)


async def _send_failure(line: _Line, status: int, message: str, exchange: Exchange) -> None:
    body = json.dumps({"message": message, "requestId": exchange.request_id}).encode()
    headers = [(b"content-type", b"application/json")]
    await line.send({"type": "http.response.start", "status": status, "headers": headers})
    await line.send({"type": "http.response.body", "body": body})


async def _linger(line: _Line, exchange: Exchange) -> None:
    """Discard what still comes, so that the answer is read before the connection closes."""
    most_s = time.monotonic() + _LINGER_MOST_S
    try:
        while not exchange.is_body_ended and time.monotonic() < most_s:
            async with asyncio.timeout(_LINGER_IDLE_S):
                await line.receive()
    except TimeoutError:
        return


def _log_request(scope: Message, exchange: Exchange) -> None:
    _log.info(
        "request",
        request_id=exchange.request_id,
        method=scope["method"],
        route=exchange.route,
        status=exchange.status,
        ms=round((time.monotonic() - exchange.started_at_s) * 1000, 1),
        received_bytes=exchange.received_bytes,
        is_cut_off=exchange.is_cut_off,
        account=exchange.account,
        job_id=exchange.job_id,
    )
