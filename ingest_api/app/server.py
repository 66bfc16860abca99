"""The API process: the application, the server that runs it, and how both end.

The application runs as ASGI on granian's embedded server, in one event loop.
granian (hyper) takes a byte from the socket only when the application asks for
it, tells a broken body from a whole one, and refuses malformed heads that
Sanic's own server takes.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import threading
from functools import partial
from typing import TYPE_CHECKING, Final, cast

import structlog
from granian.constants import HTTPModes, Interfaces
from granian.http import HTTP1Settings
from granian.server.embed import Server

from ingest_api.app.application import make_application, make_parts
from ingest_api.web.asgi_middleware import FrontDoor
from schemas.config.declared import loggable
from schemas.config.environment import SettingsError

if TYPE_CHECKING:
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
_log = structlog.stdlib.get_logger("rollcall.api")


async def serve(settings: ApiSettings) -> None:
    """Serve until SIGTERM or SIGINT; then take no more, finish what is under way, and return.

    Raises:
        SettingsError: the address can't be listened on.
        LogMismatchError: the log is for another reconciliation key than the one set.
        LogMovedError: the log goes on in other topics, so another process must.
        RuntimeError: the server ended by itself.
        Exception: whatever keeps topics or accounts from ever being made.
    """
    _check_free(settings)
    topics = {topic.name: topic.partitions for topic in settings.shared.topics.all()}
    _log.info("starting", topics=topics, **loggable(settings))
    parts = make_parts(settings)
    server = _make_server(settings, cast("Application", make_application(parts)))
    stopping = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, _stop, server, parts, stopping)
    await parts.store.open()
    parts.authentication.start()
    tasks = _begin(server, parts)
    try:
        await server.serve()
    finally:
        ended = [task for task in tasks if task.done()]
        for task in tasks:
            task.cancel()
        await _close(parts)
    if not stopping.is_set():
        for task in ended:
            task.result()
        raise RuntimeError("the HTTP server ended by itself")
    _log.info("stopped")


def _begin(server: Server, parts: Parts) -> list[asyncio.Task[None]]:
    """What runs beside the server; it ends the server where it fails."""
    moved = asyncio.create_task(parts.job_log.until_moved())
    moved.add_done_callback(partial(_end_where_moved, server, parts))
    others = [
        asyncio.create_task(parts.start.run()),
        asyncio.create_task(parts.writing.run()),
    ]
    for task in others:
        task.add_done_callback(partial(_end_where_failed, server))
    return [moved, *others]


def _check_free(settings: ApiSettings) -> None:
    """The server would share the port with whoever listens there, and each get some requests."""
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
        FrontDoor(application),
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


def _end_where_failed(server: Server, start: asyncio.Task[None]) -> None:
    """What is worth trying again is caught there; the rest would keep the process unready."""
    if not start.cancelled() and start.exception() is not None:
        server.stop()


def _end_where_moved(server: Server, parts: Parts, moved: asyncio.Task[None]) -> None:
    if not moved.cancelled():
        _end(server, parts)


def _stop(server: Server, parts: Parts, stopping: asyncio.Event) -> None:
    stopping.set()
    _end(server, parts)


def _end(server: Server, parts: Parts) -> None:
    """Take no more, and finish what is under way; :func:`serve` returns then."""
    parts.gate.close()
    parts.job_watch.close()
    parts.undo_previews.close()
    server.stop()
    # Where something hangs, what is under way ends as a crash would end it: safely.
    last = threading.Timer(_STOP_S, os._exit, (0,))
    last.daemon = True
    last.start()


async def _close(parts: Parts) -> None:
    parts.intake.close()
    parts.writing.close()
    parts.job_proofs.close()
    parts.producers.close()
    parts.passwords.close()
    await parts.authentication.stop()
    await parts.job_log.stop()
    await parts.store.close()
