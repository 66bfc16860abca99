"""Instances that failed and are wanted all the same: when the next try is, in a real registry."""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import TYPE_CHECKING

import psycopg
import pytest

from ingest_api.kafka.topic_setup import ensure_topics
from processor.builder.main import Builder
from processor.errors import PassedStopError
from processor.tables import instance_registry
from processor.tables.retry_backoff import FIRST_PAUSE_S
from schemas.read_model import tables as read_model

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.servers.surroundings import Ground

_ADD = "INSERT INTO projection_instance (purpose, requested_by) VALUES (%s, 'test')"
_LATER = "UPDATE projection_instance SET requested_at = requested_at - interval '1 hour'"
_PAST = """
UPDATE projection_instance
SET result = jsonb_set(result, '{retry,nextTryAt}', to_jsonb(now() - interval '1 second'))
"""
_PAUSES = """
SELECT (result -> 'retry' ->> 'nextTryAt')::timestamptz
     - (result -> 'retry' ->> 'failedAt')::timestamptz
FROM projection_instance ORDER BY number
"""


@pytest.fixture
def cursor(env: Ground) -> Iterator[psycopg.Cursor]:
    """In a database with an empty registry."""
    with psycopg.connect(env.conninfo, autocommit=True) as connection:
        connection.execute(read_model.registry_ddl().encode())
        yield connection.cursor()


def fail(cursor: psycopg.Cursor, purpose: str, reverted: set[int]) -> None:
    """Ask for an instance, which fails."""
    cursor.execute(_ADD, [purpose])
    instance = instance_registry.fetch_next_to_build(cursor)
    assert instance is not None
    instance_registry.fail(cursor, instance.number, "no room")
    instance_registry.note_retry(cursor, instance, reverted)


def test_what_failed_is_left_alone_until_its_time_has_come(cursor: psycopg.Cursor) -> None:
    """Only the same: another set of jobs, and another purpose, are tried at once."""
    assert not instance_registry.is_left_alone(cursor, "undo", {7})
    fail(cursor, "undo", {7, 8})
    assert instance_registry.is_left_alone(cursor, "undo", {8, 7})
    assert not instance_registry.is_left_alone(cursor, "undo", {7})
    assert not instance_registry.is_left_alone(cursor, "upgrade")
    cursor.execute(_PAST)
    assert not instance_registry.is_left_alone(cursor, "undo", {7, 8})


def test_an_upgrade_that_failed_is_left_alone_whatever_is_undone(cursor: psycopg.Cursor) -> None:
    """The worker that asks for it doesn't know what is."""
    fail(cursor, "upgrade", {7})
    assert instance_registry.is_left_alone(cursor, "upgrade")


def test_each_failure_in_a_row_doubles_the_pause(cursor: psycopg.Cursor) -> None:
    """One of another set of jobs begins anew."""
    for reverted in ({7}, {7}, {7}, {7, 8}, {7, 8}):
        fail(cursor, "undo", reverted)
    pauses = [row[0] for row in cursor.execute(_PAUSES).fetchall()]
    assert pauses == [timedelta(seconds=FIRST_PAUSE_S * times) for times in (1, 2, 4, 1, 2)]


def test_a_failure_that_earlier_code_noted_is_left_alone_for_a_minute(
    cursor: psycopg.Cursor,
) -> None:
    """It said nothing of a next try."""
    cursor.execute(_ADD, ["upgrade"])
    instance_registry.fail(cursor, 1, "no room")
    assert instance_registry.is_left_alone(cursor, "upgrade")
    cursor.execute(_LATER)
    assert not instance_registry.is_left_alone(cursor, "upgrade")


def test_a_builder_whose_tables_another_one_has_filled_waits_for_its_turn(
    env: Ground, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It had lost the lock with its connection, and found its own stop passed: no reason to end."""
    ensure_topics(env.settings)
    turns: list[None] = []
    stopping = threading.Event()

    def build(*_: object) -> None:
        turns.append(None)
        if len(turns) == 1:
            raise PassedStopError("projected up to 2, and it was to stop at 1")
        stopping.set()

    monkeypatch.setattr(Builder, "_build_while_connected", build)
    Builder(env.settings, stopping).run()
    assert len(turns) == 2
