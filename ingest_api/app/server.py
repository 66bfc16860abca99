"""The API process: the application, the server that runs it, and how both end.

The application runs as ASGI on granian's embedded server, in one event loop.
granian (hyper) takes a byte from the socket only when the application asks for
it, tells a broken body from a whole one, and refuses malformed heads that
Sanic's own server takes.
"""

from __future__ import annotations

import asyncio
import signal
import socket
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, Final, cast

import structlog
from granian.constants import HTTPModes, Interfaces
from granian.http import HTTP1Settings
from granian.server.embed import Server
from starlette.middleware.cors import CORSMiddleware

from ingest_api.app.application import make_application, make_parts
from ingest_api.app.late_end import end_late
from ingest_api.app.metrics import watch_service
from ingest_api.app.settings import origins_of
from ingest_api.app.wire_notices import run_notices
from ingest_api.web.asgi_middleware import AsgiMiddleware
from ingest_api.web.paging import TOTAL_COUNT
from schemas.clients.outages import tell_outages
from schemas.config.declared import loggable
from schemas.config.environment import SettingsError
from schemas.runtime.essential import TASK_FAILED, essential_task

if TYPE_CHECKING:
    from collections.abc import Callable

    from ingest_api.app.application import Parts
    from ingest_api.app.settings import ApiSettings
    from ingest_api.web.asgi_middleware import Application

_STOP_S: Final = 14.0
"""After it the process ends whatever still runs; supervisors wait fifteen seconds."""
_BACKLOG: Final = 1024
_MOST_CONNECTIONS: Final = 4096
"""Idle ones count too; by default the next connection after 128 would wait for one to close."""
_MOST_HEAD_BYTES: Final = 1152 * 1024
"""Credentials of 1 MiB are answered with 401; the server answers a larger head by itself: 431."""
_EXPOSED_HEADERS: Final = [
    "Content-Disposition",
    "Link",
    "Location",
    "Retry-After",
    TOTAL_COUNT,
    "X-Request-Id",
]
_log = structlog.stdlib.get_logger("rollcall.api")


@dataclass(slots=True)
class _Why:
    """Why the process ends: it is told to, or an essential task has failed."""

    is_told: bool = False
    failures: list[BaseException] = field(default_factory=list[BaseException])

    def failure(self) -> BaseException | None:
        """Return the first failure, unless the process was told to end."""
        return self.failures[0] if self.failures and not self.is_told else None


async def serve(settings: ApiSettings) -> None:
    """Serve until SIGTERM or SIGINT; then accept no more, finish what is under way, and return.

    Raises:
        SettingsError: the address can't be listened on.
        LogMismatchError: the log is for another reconciliation key than the one set.
        LogMovedError: the log goes on in other topics, so another process must.
        RuntimeError: the server ended by itself.
        Exception: an essential task has failed with it.
    """
    _check_free(settings)
    topics = {topic.name: topic.partitions for topic in settings.shared.topics.all()}
    _log.info("starting", topics=topics, **loggable(settings))
    tell_outages(settings.shared)
    parts = make_parts(settings)
    server = _make_server(settings, cast("Application", make_application(parts)))
    why = _Why()
    end = partial(_end, server, parts, why)
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, _stop, why, end)
    await parts.database.open()
    asyncio.get_running_loop().set_exception_handler(partial(_end_where_failed, why, end))
    parts.authenticator.start()
    tasks = [
        essential_task(parts.job_log.until_moved(), "log-moved"),
        essential_task(parts.startup.run(), "start"),
        essential_task(watch_service(parts.readiness, parts.database, parts.job_log), "metrics"),
        essential_task(parts.user_writes.run(), "write-outcomes"),
        essential_task(parts.throughput.run(parts.accounts.prepared), "throughput-samples"),
        essential_task(parts.undo_queue.run(), "queued-undos"),
        essential_task(run_notices(parts), "notices"),
    ]
    try:
        await server.serve()
    finally:
        for task in tasks:
            task.cancel()
        await _close(parts)
    if not why.is_told:
        raise why.failure() or RuntimeError("the HTTP server ended by itself")
    _log.info("stopped")


def _check_free(settings: ApiSettings) -> None:
    """Check that nobody listens on the port: the server would share it, and get some requests."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((settings.host, settings.port))
        except OSError as error:
            raise SettingsError(
                f"ROLLCALL_HOST and ROLLCALL_PORT: can't listen on {settings.host}"
                f" port {settings.port}: {error.strerror}."
            ) from error


def _make_server(settings: ApiSettings, application: Application) -> Server:
    return Server(
        _with_cors(AsgiMiddleware(application), settings),
        address=settings.host,
        port=settings.port,
        interface=Interfaces.ASGI,
        http=HTTPModes.http1,
        http1_settings=HTTP1Settings(max_buffer_size=_MOST_HEAD_BYTES),
        websockets=False,
        backlog=_BACKLOG,
        backpressure=_MOST_CONNECTIONS,
        log_enabled=False,
    )


def _with_cors(application: Application, settings: ApiSettings) -> Application:
    """Let pages of the origins that are set call the API from a browser, without cookies."""
    origins = origins_of(settings.cors_origins)
    if not origins:
        return application
    return CORSMiddleware(
        application,
        allow_origins=origins,
        allow_methods=["GET", "HEAD", "POST", "PUT"],
        allow_headers=["*"],
        expose_headers=_EXPOSED_HEADERS,
    )


def _end_where_failed(
    why: _Why,
    end: Callable[[], None],
    loop: asyncio.AbstractEventLoop,
    context: dict[str, Any],
) -> None:
    """End the process where an essential task failed: without it the process would be half."""
    if context["message"] == TASK_FAILED:
        why.failures.append(context["exception"])
        end()
    else:
        loop.default_exception_handler(context)


def _stop(why: _Why, end: Callable[[], None]) -> None:
    why.is_told = True
    end()


def _end(server: Server, parts: Parts, why: _Why) -> None:
    """Accept no more requests, and finish those under way; then :func:`serve` returns."""
    parts.concurrency.close()
    parts.job_watch.close()
    parts.undo_previews.close()
    server.stop()
    end_late(_STOP_S, why.failure)


async def _close(parts: Parts) -> None:
    parts.uploads.close()
    parts.user_writes.close()
    parts.job_proofs.close()
    parts.producers.close()
    parts.passwords.close()
    await parts.authenticator.stop()
    await parts.job_log.stop()
    await parts.database.close()
