"""Samples of the throughput in a real database, taken by any number of processes."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any

import psycopg

from ingest_api.app.startup import OWN_TABLES
from ingest_api.errors import LogUnavailableError
from ingest_api.postgres.own_tables import make_own_tables
from ingest_api.postgres.pool import Database
from ingest_api.throughput.samples import ThroughputSamples
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from tests.support.servers.surroundings import Ground

SAMPLES = """
INSERT INTO rollcall_api.throughput_sample (minute, taken_at, appended, applied)
SELECT taken_at, taken_at, appended, applied
FROM (VALUES (5, 1000, 1000), (4, 1600, 1300), (2, 2200, 2200), (1, 40, 40))
    AS sample (ago, appended, applied),
LATERAL (SELECT date_trunc('minute', now()) - ago * interval '1 minute' AS taken_at) AS times
"""


@contextlib.asynccontextmanager
async def database(env: Ground) -> AsyncGenerator[Database]:
    """The API's pool, on its own tables."""
    opened = Database(env.conninfo)
    await opened.open()
    await make_own_tables(opened, *OWN_TABLES)
    yield opened
    await opened.close()


def test_a_minute_is_the_mean_of_what_is_known(env: Ground) -> None:
    """A gap is spread, and where the log was moved nothing is made up."""

    async def select() -> list[dict[str, Any]]:
        async with database(env) as db:
            with psycopg.connect(env.conninfo, autocommit=True) as connection:
                connection.execute(SAMPLES)
            return await ThroughputSamples(db, lambda: ([], [])).select(60)

    rows = asyncio.run(select())
    assert [(row["appended"], row["applied"], row["waiting"]) for row in rows] == [
        (None, None, 0),
        (600, 300, 300),
        (300, 450, 0),
        (None, None, 0),
    ]


def test_processes_take_one_sample_a_minute_and_forget_what_is_old(env: Ground) -> None:
    """Whichever is first; one that Kafka does not answer goes on."""
    found = asyncio.run(_found_of_three(env))
    assert found is not None
    assert found[0] <= 2  # of this minute, and where it has just turned, the one before
    assert found[1:] == (11 * found[0], 7 * found[0])


async def _found_of_three(env: Ground) -> tuple[Any, ...] | None:
    """How many samples three processes took, and their sums; one has no Kafka."""

    def silent() -> tuple[list[int], list[int]]:
        raise LogUnavailableError("no answer")

    old = (
        "INSERT INTO rollcall_api.throughput_sample VALUES (now() - interval '2 days', now(), 1, 1)"
    )
    count = "SELECT count(*), sum(appended), sum(applied) FROM rollcall_api.throughput_sample"
    prepared = asyncio.Event()
    async with database(env) as db:
        samplers = [ThroughputSamples(db, each) for each in (silent, lambda: ([5, 6], [5, 2]))]
        with psycopg.connect(env.conninfo, autocommit=True) as connection:
            connection.execute(old)
            tasks = [asyncio.create_task(each.run(prepared)) for each in [*samplers, samplers[1]]]
            prepared.set()
            await asyncio.to_thread(
                wait_until, lambda: connection.execute(count).fetchone() != (1, 1, 1), 30
            )
            assert await samplers[0].waiting() == []
            assert await samplers[1].waiting() == [0, 4]
            found = connection.execute(count).fetchone()
            for task in tasks:
                task.cancel()
    return found
