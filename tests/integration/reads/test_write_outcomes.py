"""Outcomes of writes as they come from a real database, whatever happens to the connection."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, LiteralString

import psycopg
import pytest
from psycopg import sql

from ingest_api.errors import IngestError
from ingest_api.postgres.pool import Database
from ingest_api.users import write_outcomes as module
from ingest_api.users.write_outcomes import WriteOutcome, WriteOutcomes
from ingest_api.web.refused import status_of
from schemas.read_model import tables as read_model

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from tests.support.servers.surroundings import Ground

_TIMEOUT_S = 60
INSERT: LiteralString = """
INSERT INTO model.write_outcome (event_id, position, outcome, user_id) VALUES (%s, 1, %s, %s)
"""


def make_read_model(env: Ground) -> None:
    """The tables as the processor makes them, with one empty audience."""
    with psycopg.connect(env.conninfo, autocommit=True) as connection:
        connection.execute(read_model.ddl().format(schema="model"))
        connection.execute(read_model.public_views().format(schema="model"))
        connection.execute("INSERT INTO model.generation (job_id) VALUES (NULL)")
        connection.execute(
            """
            INSERT INTO model.projection
                (version, topic, topic_id, partitions, reconciliation_key, active_generation)
            VALUES (1, 'user-events', 'id', 1, 'email', 1)
            """
        )


async def report(
    env: Ground, event_id: str, *, notify: bool, outcome: str = "updated", user_id: int = 7
) -> None:
    """Write an outcome as the processor does, with or without its notification."""
    async with await psycopg.AsyncConnection.connect(env.conninfo) as connection:
        await connection.execute(INSERT, (event_id, outcome, user_id))
        if notify:
            channel = sql.Identifier(read_model.OUTCOME_CHANNEL)
            payload = sql.Literal(f"somebody-elses {event_id}")
            await connection.execute(sql.SQL("NOTIFY {}, {}").format(channel, payload))


@contextlib.asynccontextmanager
async def listening(env: Ground) -> AsyncGenerator[WriteOutcomes]:
    """Outcomes that are followed as long as the context is open."""
    db = Database(env.conninfo)
    await db.open()
    found = WriteOutcomes(db)
    task = asyncio.create_task(found.run())
    try:
        async with asyncio.timeout(_TIMEOUT_S):
            while not found.is_listening:  # noqa: ASYNC110 - the state is all that is public
                await asyncio.sleep(0.01)
            yield found
    finally:
        task.cancel()
        await asyncio.wait({task})
        await db.close()


def test_a_notified_outcome_comes_at_once(env: Ground, monkeypatch: pytest.MonkeyPatch) -> None:
    """To all who wait for it, and to nobody else."""
    monkeypatch.setattr(module, "_POLL_EVERY_S", 3600)  # only the notification can tell
    make_read_model(env)

    async def run() -> None:
        async with listening(env) as outcomes:
            with (
                outcomes.expected("one") as one,
                outcomes.expected("one") as again,
                outcomes.expected("two") as two,
            ):
                await report(env, "one", notify=True)
                assert await one == WriteOutcome(
                    "one", "updated", 7, None, None, None, is_shown=True
                )
                assert await again == await one
                assert not two.done()

    asyncio.run(run())


def test_an_outcome_that_was_not_notified_comes_later(env: Ground) -> None:
    """Looked up every second, also where there is no read model at first."""

    async def run() -> None:
        async with listening(env) as outcomes:
            with outcomes.expected("one") as one:
                await asyncio.to_thread(make_read_model, env)
                await report(env, "one", notify=False)
                assert (await one).outcome == "updated"

    asyncio.run(run())


def test_a_broken_connection_is_made_again_and_loses_nothing(
    env: Ground, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever waits is looked up as soon as it listens again."""
    monkeypatch.setattr(module, "_POLL_EVERY_S", 3600)
    make_read_model(env)

    async def run() -> None:
        async with listening(env) as outcomes:
            with outcomes.expected("one") as one, outcomes.expected("two") as two:
                async with await psycopg.AsyncConnection.connect(
                    env.conninfo, autocommit=True
                ) as connection:
                    # In one statement: nobody can listen again before the outcome is there.
                    await connection.execute(
                        """
                        WITH reported AS (
                            INSERT INTO model.write_outcome (event_id, position, outcome)
                            VALUES ('one', 1, 'unchanged') RETURNING event_id
                        )
                        SELECT pg_terminate_backend(pid) FROM pg_stat_activity, reported
                        WHERE application_name = 'rollcall-api-listening'
                          AND datname = current_database()
                        """
                    )
                assert (await one).outcome == "unchanged"
                await report(env, "two", notify=True)
                assert (await two).outcome == "updated"

    asyncio.run(run())


def test_an_added_user_who_is_not_shown_yet_is_waited_for(env: Ground) -> None:
    """While a delsert runs that it came behind; else whoever is not there any more was there."""
    make_read_model(env)
    with psycopg.connect(env.conninfo, autocommit=True) as connection:
        connection.execute(
            """
            INSERT INTO model.job
                (job_id, mode, lines, sha256, accepted_at, accepted_by, started_at)
            VALUES (1, 'delsert', 1, 'aa', now(), 'admin', now())
            """
        )
        connection.execute(
            """
            INSERT INTO model.job_partition (job_id, partition, opened_offset, opened_at)
            VALUES (1, 0, 3, now())
            """
        )

    async def run() -> None:
        async with listening(env) as outcomes:
            with outcomes.expected("shown later") as later, outcomes.expected("gone") as gone:
                await report(env, "shown later", notify=True, outcome="inserted")
                await report(env, "gone", notify=True)
                await gone
                assert not later.done()
                assert await is_shown(outcomes) is False
                await report(env, "deleted", notify=True, outcome="inserted", user_id=4)
                deleted = await outcomes.fetch_first("deleted", "deleted")
                assert deleted is not None
                assert deleted.is_shown
                async with await psycopg.AsyncConnection.connect(env.conninfo) as connection:
                    await connection.execute(
                        "UPDATE model.job SET state = 'COMPLETED', finished_at = now()"
                    )
                assert (await later).outcome == "inserted"
                assert await is_shown(outcomes)

    async def is_shown(outcomes: WriteOutcomes) -> bool | None:
        first = await outcomes.fetch_first("shown", "shown later")
        return first and first.is_shown

    asyncio.run(run())


def test_the_first_outcome_of_an_idempotency_key_is_found(env: Ground) -> None:
    """By the range that all ids of the key are in; none where there is no read model."""

    async def run() -> None:
        async with listening(env) as outcomes:
            assert await outcomes.fetch_first("b0", "bf") is None
            await asyncio.to_thread(make_read_model, env)
            for event_id in ("a7", "b7", "b2", "c0"):
                await report(env, event_id, notify=False)
            first = await outcomes.fetch_first("b0", "bf")
            assert first is not None
            assert first.event_id == "b7"

    asyncio.run(run())


def test_so_many_may_wait_and_no_more(env: Ground, monkeypatch: pytest.MonkeyPatch) -> None:
    """The next one is told to come again; who has been answered makes room."""
    monkeypatch.setattr(module, "_MOST_WAITING", 1)

    async def run() -> None:
        async with listening(env) as outcomes:
            with outcomes.expected("one"), pytest.raises(IngestError) as refused:  # noqa: SIM117
                with outcomes.expected("two"):
                    pass
            assert status_of(type(refused.value)) == 503
            with outcomes.expected("two"):
                pass

    asyncio.run(run())
