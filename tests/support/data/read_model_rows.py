"""A read model filled by hand, and what the API's reads make of it."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, LiteralString, TypeVar

import psycopg

from ingest_api.event_log.ledger import JobLedger
from ingest_api.postgres.pool import Database
from processor.tables.generations import Generations
from schemas.events import ChunkRange, JobAccepted
from schemas.read_model import tables as read_model

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

_T = TypeVar("_T")
PARTITIONS = 3
ACCEPTED = JobAccepted(
    job_id=2**62,
    attempt="first",
    mode="insert",
    delimiter=",",
    charset="utf-8",
    compression="none",
    blank_cells="keep",
    reconciliation_key="email",
    rules_version=2,
    accepted_at=datetime(2016, 6, 28, 17, 49, 23, tzinfo=UTC),
    accepted_by="admin",
    file_name="users.csv",
    size_bytes=1,
    sha256="aa",
    lines=10_020,
    rejected_lines=0,
    chunks=ChunkRange(partition=0, first_offset=0, last_offset=0, count=1),
    header="First Name,Last Name,Email",
)
_PROJECTION = """
INSERT INTO {schema}.projection (version, topic, topic_id, partitions, reconciliation_key,
                              active_generation)
VALUES (2, 'user-events', 'id', %s, 'email', %s)
"""


def make_read_model(conninfo: str, *, generations: int = 1) -> None:
    """An empty read model as the processor makes it; the last of its generations is active."""
    make_instance(conninfo, "model", generations=generations)
    execute(conninfo, read_model.public_views().format(schema="model"))


def make_instance(conninfo: str, schema: LiteralString, *, generations: int = 1) -> None:
    """The same in a schema of its own, which the views in ``public`` do not show."""
    with psycopg.connect(conninfo, autocommit=True) as connection:
        connection.execute(read_model.ddl().format(schema=schema))
        tables = Generations(schema, PARTITIONS)
        cursor = connection.cursor()
        active = tables.make_first(cursor)
        for number in range(1, generations):
            active = tables.open(cursor, number)
            for partition in range(PARTITIONS):
                tables.index(cursor, active, partition, ())
        connection.execute(_PROJECTION.format(schema=schema), (PARTITIONS, active))


def execute(conninfo: str, statement: LiteralString, *values: object) -> None:
    """Run one statement as the processor's stand-in."""
    with psycopg.connect(conninfo, autocommit=True) as connection:
        connection.execute(statement, values or None)


def ledger_of(*jobs: JobAccepted) -> JobLedger:
    """A ledger of these jobs, the first at offset 3."""
    ledger = JobLedger()
    for offset, job in enumerate(jobs, start=3):
        ledger.apply(offset, job)
    return ledger


def job(job_id: int, **changes: object) -> JobAccepted:
    """Another job like :data:`ACCEPTED`."""
    return replace(ACCEPTED, job_id=job_id, **changes)


def ask(conninfo: str, question: Callable[[Database], Awaitable[_T]]) -> _T:
    """The answer to one question of a db."""

    async def run() -> _T:
        db = Database(conninfo)
        await db.open()
        try:
            return await question(db)
        finally:
            await db.close()

    return asyncio.run(run())
