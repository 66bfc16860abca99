"""Projection instances as a test asks for them, straight in the registry."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import psycopg
from psycopg import sql

from processor.verification.verify import verify_active
from tests.support.models.verdict import select
from tests.support.servers.surroundings import PARTITIONS
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from tests.support.servers.surroundings import Ground

BUILD_TIMEOUT_S = 240
_ENDED = frozenset({"ready", "active", "failed", "dropped"})


def request(env: Ground, purpose: str, **columns: object) -> int:
    """Ask for an instance; its number."""
    values = {"purpose": purpose, "requested_by": "test", **columns}
    statement = sql.SQL(
        "INSERT INTO projection_instance ({names}) VALUES ({values}) RETURNING number"
    ).format(
        names=sql.SQL(", ").join(map(sql.Identifier, values)),
        values=sql.SQL(", ").join(map(sql.Placeholder, values)),
    )
    with psycopg.connect(env.conninfo, autocommit=True) as connection:
        row = connection.execute(statement, values).fetchone()
    assert row is not None
    return row[0]


def instance(env: Ground, number: int) -> dict[str, Any]:
    """Its row in the registry."""
    (row,) = select(env, f"SELECT * FROM projection_instance WHERE number = {number}")
    return row


def active(env: Ground) -> dict[str, Any]:
    """The row of the instance that readers see."""
    (row,) = select(env, "SELECT * FROM projection_instance WHERE state = 'active'")
    return row


def assert_proven(env: Ground) -> None:
    """Fail unless live = rebuilt, table by table, and live = the log as it is folded apart.

    A builder must be running.
    """
    built = wait_built(env, request(env, "verify"))
    assert built["state"] == "ready", built["failure"]
    assert built["result"]["isEqual"], built["result"]
    folded = verify_active(env.settings.with_partitions(PARTITIONS))
    assert folded.is_proven, folded.findings


def wait_built(env: Ground, number: int) -> dict[str, Any]:
    """Its row once it is there, has taken the live one's place, or has failed."""
    wait_until(
        lambda: instance(env, number)["state"] in _ENDED,
        BUILD_TIMEOUT_S,
        saying=f"instance {number} is built",
    )
    return instance(env, number)
