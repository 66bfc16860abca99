"""The ASGI middleware around the framework: request ids, the access log, connections' ends.

The framework never sees how a connection ends: who answers before the body
has been read must say ``Connection: close`` and go on discarding for a moment.
Closing a socket that holds unread bytes makes the kernel send a reset, and a
reset can overtake the answer (RFC 9112, 9.6).
"""

from __future__ import annotations

import asyncio
import secrets
import time
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final, cast

import structlog
from sanic.exceptions import SanicException

from ingest_api.web.encoding import encoded
from ingest_api.web.metrics import RECEIVED_BYTES, REQUEST_SECONDS, REQUESTS
from ingest_api.web.refused import SERVER_FAILURE, refusal_by_http
from ingest_api.web.request_context import RequestContext, attach
from schemas.runtime.tracing import TRACES, Beginning, traceparent_in

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, MutableMapping

    from opentelemetry.trace import Span

    Message = MutableMapping[str, Any]
    Receive = Callable[[], Awaitable[Message]]
    Send = Callable[[Message], Awaitable[None]]
    Application = Callable[[Message, Receive, Send], Awaitable[None]]

_MOST_HEAD_BYTES: Final = 64 * 1024
"""Of a head without its credentials: those are answered with 401, however long they are."""
_UNTRACED: Final = ("/health/", "/metrics")
_LINGER_IDLE_S: Final = 0.5
_LINGER_MOST_S: Final = 5.0
_log = structlog.stdlib.get_logger("rollcall.api")


class AsgiMiddleware:
    """Wraps the framework's ASGI application: each request is answered, logged and closed."""

    def __init__(self, application: Application) -> None:
        self._application = application

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answer one request, log it, and drain its body before the connection closes."""
        if scope["type"] != "http":
            await self._application(scope, receive, send)
            return
        context = RequestContext(secrets.token_hex(8), _has_body(scope))
        attach(scope, context)
        channel = _Channel(receive, send, context, is_head=scope["method"] == "HEAD")
        try:
            with structlog.contextvars.bound_contextvars(request_id=context.request_id):
                await self._answer_traced(scope, channel, context)
            if context.has_body:
                await _linger(channel, context)
        finally:
            channel.release()

    async def _answer_traced(
        self, scope: Message, channel: _Channel, context: RequestContext
    ) -> None:
        """Answer within a span that continues the client's trace; probes have none."""
        if scope["path"].startswith(_UNTRACED):
            await self._answer(scope, channel, context)
            return
        begun = Beginning(scope["method"], traceparent_in(scope["headers"]), "SERVER")
        with TRACES.span(begun) as span:
            await self._answer(scope, channel, context)
            if span is not None:
                _tell(span, scope["method"], context)

    async def _answer(self, scope: Message, channel: _Channel, context: RequestContext) -> None:
        try:
            if _is_ambiguous(scope):
                await _send_failure(channel, 400, "Bad request", context)
                return
            if _head_bytes(scope) > _MOST_HEAD_BYTES:
                reason = f"The path and headers are larger than {_MOST_HEAD_BYTES} bytes"
                await _send_failure(channel, 431, reason, context)
                return
            # What answers GET answers HEAD: the same without its body (RFC 9110, 9.3.2).
            method = "GET" if scope["method"] == "HEAD" else scope["method"]
            await self._application({**scope, "method": method}, channel.receive, channel.send)
        except SanicException as error:  # raised before there is a request to route
            await _send_failure(channel, error.status_code, "Bad request", context)
        except Exception:  # noqa: BLE001 - whatever it is, the client gets an answer
            _log.exception("request failed")
            if context.status is None:
                await _send_failure(channel, 500, SERVER_FAILURE, context)
        finally:
            await context.at_end.aclose()
            _log_request(scope, context)


def _tell(span: Span, method: str, context: RequestContext) -> None:
    """Say in the span what was asked and answered, in the names that OpenTelemetry has for it."""
    found = {
        "http.request.method": method,
        "http.route": context.route,
        "http.response.status_code": context.status,
        "rollcall.request_id": context.request_id,
        "rollcall.job_id": context.job_id and str(context.job_id),
    }
    if (context.status or 0) >= HTTPStatus.INTERNAL_SERVER_ERROR:
        TRACES.note_failure(f"status {context.status}")
    span.update_name(f"{method} {context.route or ''}".strip())
    span.set_attributes({name: value for name, value in found.items() if value is not None})


def _is_ambiguous(scope: Message) -> bool:
    """Return whether a proxy could read the head of the request otherwise than the server did.

    RFC 9112: one Host (3.2), and chunked as the only transfer coding, named once (6.1).
    """
    headers = cast("list[tuple[bytes, bytes]]", scope["headers"])
    hosts = [value for name, value in headers if name == b"host"]
    codings = [value.strip().lower() for name, value in headers if name == b"transfer-encoding"]
    is_host_wrong = len(hosts) != 1 and scope["http_version"] == "1.1"
    return is_host_wrong or codings not in ([], [b"chunked"])


def _head_bytes(scope: Message) -> int:
    headers = cast("list[tuple[bytes, bytes]]", scope["headers"])
    sizes = (len(name) + len(value) for name, value in headers if name != b"authorization")
    return len(scope["raw_path"]) + len(scope["query_string"]) + sum(sizes)


def _has_body(scope: Message) -> bool:
    headers = dict(cast("list[tuple[bytes, bytes]]", scope["headers"]))
    return b"transfer-encoding" in headers or headers.get(b"content-length", b"0") != b"0"


class _Channel:
    """The receive and send of one ASGI request, which notes in the context what passes.

    The framework keeps it in reference cycles, and the server closes the connection
    only once nothing refers to its callables: so they are released, not left to the
    garbage collector.
    The answer to HEAD ends where its body would begin; whoever streams that body is told
    that the client has gone.
    """

    def __init__(
        self, receive: Receive, send: Send, context: RequestContext, *, is_head: bool
    ) -> None:
        self._receive: Receive | None = receive
        self._send: Send | None = send
        self._context = context
        self._head_ended = asyncio.Event() if is_head else None

    def release(self) -> None:
        """Give the connection back to the server; later calls do nothing."""
        self._receive = self._send = None

    async def receive(self) -> Message:
        if self._receive is None:
            return {"type": "http.disconnect"}
        context = self._context
        if self._head_ended and context.is_body_ended:
            await self._head_ended.wait()
            return {"type": "http.disconnect"}
        message = await self._receive()
        context.received_bytes += len(message.get("body", b""))
        context.is_client_gone |= message["type"] == "http.disconnect"
        context.is_body_ended |= context.is_client_gone or not message.get("more_body", False)
        return message

    async def send(self, message: Message) -> None:
        context = self._context
        if self._send is None or context.is_cut_off:
            return
        if message["type"] == "http.response.start":
            context.status = message["status"]
            headers = [(b"x-request-id", context.request_id.encode())]
            if context.has_body and not context.is_body_ended:
                headers.append((b"connection", b"close"))
            message["headers"] = [*message["headers"], *headers]
        elif self._head_ended:
            if self._head_ended.is_set():
                return
            self._head_ended.set()
            message = {"type": "http.response.body", "body": b""}
        await self._send(message)


async def _send_failure(
    channel: _Channel, status: int, message: str, context: RequestContext
) -> None:
    body = encoded(refusal_by_http(status, message, request_id=context.request_id))
    headers = [(b"content-type", b"application/json")]
    await channel.send({"type": "http.response.start", "status": status, "headers": headers})
    await channel.send({"type": "http.response.body", "body": body})


async def _linger(channel: _Channel, context: RequestContext) -> None:
    """Discard what still comes, so that the answer is read before the connection closes."""
    deadline_s = time.monotonic() + _LINGER_MOST_S
    try:
        while not context.is_body_ended and time.monotonic() < deadline_s:
            async with asyncio.timeout(_LINGER_IDLE_S):
                await channel.receive()
    except TimeoutError:
        return


def _log_request(scope: Message, context: RequestContext) -> None:
    elapsed_s = time.monotonic() - context.started_at_s
    # Methods and paths are the client's to invent: those that are no route count as one.
    method, route = (scope["method"], context.route) if context.route else ("", "")
    REQUESTS.labels(method, route, context.status or "none").inc()
    REQUEST_SECONDS.labels(method, route).observe(elapsed_s)
    RECEIVED_BYTES.inc(context.received_bytes)
    _log.info(
        "request",
        request_id=context.request_id,
        method=scope["method"],
        route=context.route,
        status=context.status,
        ms=round(elapsed_s * 1000, 1),
        received_bytes=context.received_bytes,
        is_cut_off=context.is_cut_off,
        account=context.account,
        job_id=context.job_id,
    )
