"""Two audiences, one of them live, and what differs between them in plain Python."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any, LiteralString

import psycopg

from tests.support.data.read_model_rows import PARTITIONS, execute, make_instance, make_read_model

if TYPE_CHECKING:
    from ingest_api.as_of.diff import Kind

_INSERT: LiteralString = """
INSERT INTO {schema}.user_row (generation, partition, id, key, first_name, last_name, email,
                               last_active_date, sms_subscription, email_subscription,
                               voice_subscription, attributes, created_at, modified_at)
VALUES (1, %s, %s, %s, %s, %s, %s, %s, %s, true, true, %s, now(), now())
"""
_DEFINE: LiteralString = """
INSERT INTO {schema}.attribute
VALUES (%s, %s, false, false, now(), 'admin')
"""
_COUNTS: LiteralString = """
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
            connection.execute(_INSERT.replace("{schema}", schema), (*place, *values))
        connection.execute(_COUNTS.replace("{schema}", schema))


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
