"""Servers that are frozen or gone for as long as a context is open."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Final

import psutil

from deploy.local_stack.postgres import PostgresError, PostgresServer

if TYPE_CHECKING:
    from collections.abc import Generator

    from deploy.local_stack.kafka import KafkaServer

_START_TIMEOUT_S: Final = 180


@contextlib.contextmanager
def frozen(pid: int) -> Generator[None]:
    """The process and all that it has started hold their connections and do nothing.

    The leader is stopped first, so that it starts no other meanwhile. One of its processes may
    end at any instant before its own turn (Postgres' parallel workers do); all others go on at
    the end all the same: a checkpointer that stays frozen would hang every later test.
    """
    leader = psutil.Process(pid)
    processes = [leader]
    try:
        leader.suspend()
        processes += leader.children(recursive=True)
        for process in processes[1:]:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.suspend()
        yield
    finally:
        for process in processes:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.resume()


@contextlib.contextmanager
def killed(server: KafkaServer | PostgresServer) -> Generator[None]:
    """Kill -9; it answers again afterwards, with all that it held."""
    server.child.kill()
    try:
        yield
    finally:
        restart(server)


def go_on(server: KafkaServer | PostgresServer) -> None:
    """Let it answer again, now that its disk has room; Kafka ends at a full one, sooner or later.

    Postgres may end, too, where it has no room to recover.
    """
    if isinstance(server, PostgresServer):
        with contextlib.suppress(PostgresError):
            return server.wait_ready(_START_TIMEOUT_S)
    return restart(server)


def restart(server: KafkaServer | PostgresServer) -> None:
    """Kill -9, where it runs, and a new start; it answers on return."""
    server.child.kill()
    server.launch()
    server.wait_ready(_START_TIMEOUT_S)
