"""Makes the API's own tables, which no log can make again."""

from __future__ import annotations

from importlib import resources
from typing import TYPE_CHECKING, LiteralString, cast

if TYPE_CHECKING:
    from ingest_api.postgres.pool import Database


async def make_own_tables(database: Database, *packages: str) -> None:
    """Make what `tables.sql` of each of these packages says, in their order, where it is missing.

    Raises:
        StoreUnavailableError: Postgres doesn't answer.
    """
    async with database.transaction() as connection:
        for package in packages:
            ddl = resources.files(package).joinpath("tables.sql").read_text()
            await connection.execute(cast("LiteralString", ddl))
