"""A read model filled by hand, and what the API's reads make of it."""

from __future__ import annotations

import asyncio
import random
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, LiteralString, TypeVar

import psycopg

from ingest_api.event_log.ledger import JobLedger
from ingest_api.postgres.pool import Database
from processor.tables.generations import Generations
from schemas.events import ChunkRange, JobAccepted
from schemas.read_model import tables as read_model

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from ingest_api.as_of.diff import Kind

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
    execute(conninfo, read_model.registry_ddl())
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


_INSERT_USER: LiteralString = """
INSERT INTO {schema}.user_row (generation, partition, id, key, first_name, last_name, email,
                               last_active_date, sms_subscription, email_subscription,
                               voice_subscription, attributes, created_at, modified_at)
VALUES (1, %s, %s, %s, %s, %s, %s, %s, %s, true, true, %s, now(), now())
"""
_DEFINE: LiteralString = """
INSERT INTO {schema}.attribute
VALUES (%s, %s, false, false, now(), 'admin')
"""
_COUNT_USERS: LiteralString = """
UPDATE {schema}.user_count SET users = (
    SELECT count(*) FROM {schema}.user_row
    WHERE user_row.generation = user_count.generation AND user_row.partition = user_count.partition
)
"""
User = tuple[Any, ...]
BEFORE: LiteralString = "projection_5"
LIVE: LiteralString = "model"


def some_users(seed: int) -> dict[str, User]:
    """Users of a small world of keys, so that most keys are on both sides."""
    draw = random.Random(seed)
    found: dict[str, User] = {}
    for number in range(300):
        if draw.random() < 0.15:
            continue
        key = f"u{number}@ü.co" if number % 7 else f"U{number:03}"
        date = draw.choice([None, "2017-08-28", "2017-08-28", "2017-08-29"])
        attributes = draw.choice(["{}", "{}", '{"tier": "gold"}', '{"tier": null, "n": 1.5}'])
        found[key] = ("Ada", draw.choice([None, "L"]), key, date, draw.random() < 0.9, attributes)
    return found


def fill(conninfo: str, schema: LiteralString, users: dict[str, User], first_id: int) -> None:
    """The users, each in some partition that follows from the key."""
    with psycopg.connect(conninfo) as connection:
        for number, (key, values) in enumerate(users.items(), start=first_id):
            partition = len(key) % PARTITIONS
            place = (partition, (partition << 48) + number, key)
            connection.execute(_INSERT_USER.replace("{schema}", schema), (*place, *values))
        connection.execute(_COUNT_USERS.replace("{schema}", schema))


OLD, NEW = some_users(1), some_users(2)


def expected() -> list[tuple[str, Kind]]:
    """Keys with what became of them, by key."""
    found: list[tuple[str, Kind]] = []
    for key in sorted(OLD.keys() | NEW.keys(), key=lambda key: key.encode()):
        if key not in OLD:
            found.append((key, "added"))
        elif key not in NEW:
            found.append((key, "removed"))
        elif OLD[key] != NEW[key]:
            found.append((key, "changed"))
    return found


def make_both(conninfo: str) -> None:
    """A live audience, and a past one beside it."""
    make_read_model(conninfo)
    make_instance(conninfo, BEFORE)
    for schema in (BEFORE, LIVE):
        for name, kind in (("tier", "string"), ("n", "number")):
            execute(conninfo, _DEFINE.replace("{schema}", schema), name, kind)
    fill(conninfo, BEFORE, OLD, 1)
    fill(conninfo, LIVE, NEW, 1001)
