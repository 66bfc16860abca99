"""Times that Postgres sends, whatever the zone that the database is set to."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import psycopg
import pytest
from psycopg import sql

from tests.support.data.read_model_rows import ask

if TYPE_CHECKING:
    from tests.support.servers.surroundings import Ground


@pytest.mark.parametrize("zone", ["America/New_York", "Asia/Tokyo"])
def test_the_first_and_the_last_time_are_read_in_any_zone(env: Ground, zone: str) -> None:
    """Another producer's zero time is one; in New York it is before the first year."""
    with psycopg.connect(env.conninfo, autocommit=True) as connection:
        database = sql.Identifier(connection.info.dbname)
        statement = sql.SQL("ALTER DATABASE {} SET timezone = {}")
        connection.execute(statement.format(database, sql.Literal(zone)))

    (row,) = ask(
        env.conninfo,
        lambda db: db.select(
            "SELECT '0001-01-01 00:00Z'::timestamptz AS first,"
            " '9999-12-31 23:59Z'::timestamptz AS last"
        ),
    )

    assert row == {
        "first": datetime(1, 1, 1, tzinfo=UTC),
        "last": datetime(9999, 12, 31, 23, 59, tzinfo=UTC),
    }
