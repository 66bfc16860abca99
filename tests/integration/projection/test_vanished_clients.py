"""Sessions whose client is gone: what Postgres knows of it, and what it ends by itself."""

from __future__ import annotations

import os
import shutil
import threading
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from deploy.local_stack import postgres
from deploy.local_stack.postgres import PostgresServer, server_user
from ingest_api.kafka.topic_setup import ensure_topics
from processor.builder.build import Build
from processor.builder.main import Builder
from processor.kafka.log_description import describe_log
from processor.projection.session import connect, is_transient
from processor.tables import instance_registry
from processor.tables.setup import ensure_active
from schemas.config.environment import read
from schemas.config.settings import Settings
from tests.support.models.verdict import select
from tests.support.servers.services import free_port
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.servers.surroundings import Ground

_REQUEST = "INSERT INTO projection_instance (purpose, requested_by) VALUES ('rebuild', 'test')"
_STATES = "SELECT number, state, failure FROM projection_instance ORDER BY number"
_HELD = """
SELECT FROM pg_locks
WHERE relation = 'projection_1.projection_offset'::regclass AND mode = 'RowExclusiveLock'
"""


@pytest.fixture
def over_tcp(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The address of a Postgres that listens on the loopback, as none of the local stack does."""
    port = free_port()
    monkeypatch.setattr(postgres, "POSTGRES_PORT", port)
    monkeypatch.setitem(vars(postgres)["_SETTINGS"], "listen_addresses", "127.0.0.1")
    if user := server_user():
        shutil.chown(tmp_path, user, user)
    server = PostgresServer(tmp_path / "cluster", tmp_path / "log", os.environ)
    try:
        server.begin_init()
        server.end_init()
        server.launch()
        server.wait_ready(120)
        yield make_conninfo(server.conninfo, host="127.0.0.1")
    finally:
        server.stop()
        shutil.rmtree(server.socket_dir, ignore_errors=True)


def test_postgres_asks_whether_a_client_is_still_there(over_tcp: str) -> None:
    """Within half a minute, not after the two hours of its system's setting."""
    environ = {
        "ROLLCALL_DATABASE_URL": over_tcp,
        "ROLLCALL_KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:9",
    }
    names = ("keepalives_idle", "keepalives_interval", "keepalives_count", "user_timeout")
    with connect(read(Settings, environ), "rollcall-outbox") as connection:
        found = [connection.execute(f"SHOW tcp_{name}".encode()).fetchone() for name in names]
    assert found == [("10",), ("5",), ("3",), ("300000",)]


@pytest.fixture
def projected(env: Ground) -> Ground:
    """With the tables of an empty log."""
    ensure_topics(env.settings)
    with psycopg.connect(env.conninfo, autocommit=True) as connection:
        ensure_active(connection, env.settings, describe_log(env.settings))
    return env


def test_workers_are_held_for_a_minute_at_most_by_who_does_nothing(projected: Ground) -> None:
    """Only in the transaction that holds them."""
    with connect(projected.settings, "rollcall-builder") as connection:
        with connection.transaction(), connection.cursor() as cursor:
            active = instance_registry.fetch_active(cursor)
            assert active is not None
            instance_registry.hold(cursor, active)
            assert _idle_timeout(connection) == "1min"
        assert _idle_timeout(connection) == "0"


def test_a_builder_that_was_frozen_in_a_switch_switches_in_its_next_try(
    projected: Ground, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Postgres has ended its session, and what it held is free meanwhile."""
    monkeypatch.setattr(instance_registry, "_HELD_S", 1)
    replay_to = vars(Build)["_replay_to"]
    frozen: list[None] = []

    def replay(self: Build, *args: Any, within_s: float | None = None) -> None:
        if within_s is not None and not frozen:
            assert select(projected, _HELD)
            wait_until(lambda: not select(projected, _HELD), 60, saying="nothing is held")
            frozen.append(None)
        replay_to(self, *args, within_s=within_s)

    monkeypatch.setattr(Build, "_replay_to", replay)
    with psycopg.connect(projected.conninfo) as connection:
        connection.execute(_REQUEST)
    stopping = threading.Event()
    building = threading.Thread(target=Builder(projected.settings, stopping).run)
    building.start()
    try:
        wait_until(lambda: _states(projected)[1][1] not in {"requested", "building"}, 60)
    finally:
        stopping.set()
        building.join()
    assert frozen
    assert _states(projected) == [(1, "retired", None), (2, "active", None)]


def test_the_end_of_an_idle_transaction_passes() -> None:
    """Whoever has lost its session to it tries again, and ends no process."""
    assert is_transient(psycopg.errors.IdleInTransactionSessionTimeout())


def _idle_timeout(connection: psycopg.Connection) -> str:
    row = connection.execute("SHOW idle_in_transaction_session_timeout").fetchone()
    assert row is not None
    return row[0]


def _states(env: Ground) -> list[tuple[Any, ...]]:
    return [tuple(row.values()) for row in select(env, _STATES)]
