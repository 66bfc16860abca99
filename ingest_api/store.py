"""The API's connections to Postgres: a small pool, and one exception where it doesn't answer."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any, Final, LiteralString

import psycopg
from psycopg import errors
from psycopg.rows import dict_row
from psycopg_pool import AsyncConnectionPool

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping, Sequence

    Parameters = Sequence[object] | Mapping[str, object]

_CONNECTION_TIMEOUT_S: Final = 3
_STATEMENT_TIMEOUT_S: Final = 30
_MOST_CONNECTIONS: Final = 8


Connection = psycopg.AsyncConnection[dict[str, Any]]


class StoreUnavailableError(Exception):
    """Postgres cannot be reached, or does not answer in time."""


async def _check(connection: Connection) -> None:
    """Find out that the server has ended a connection before a query meets it."""
    await connection.execute("")


class Store:
    """Postgres, as the API uses it."""

    def __init__(self, conninfo: str) -> None:
        self._pool: AsyncConnectionPool[Connection] = AsyncConnectionPool(
            conninfo,
            connection_class=Connection,
            kwargs={
                "autocommit": True,
                "row_factory": dict_row,
                "prepare_threshold": None,  # works behind PgBouncer too
                "connect_timeout": _CONNECTION_TIMEOUT_S,
                "application_name": "rollcall-api",
            },
            min_size=1,
            max_size=_MOST_CONNECTIONS,
            timeout=_CONNECTION_TIMEOUT_S,
            reconnect_timeout=2,
            check=_check,
            open=False,
        )

    async def open(self) -> None:
        """Begin to connect; returns at once."""
        await self._pool.open()

    async def close(self) -> None:
        """Close all connections."""
        await self._pool.close()

    async def select(
        self, query: LiteralString, parameters: Parameters | None = None
    ) -> list[dict[str, Any]]:
        """The rows of one statement.

        Raises:
            StoreUnavailableError: nothing is known of what the statement did.
        """
        async with self.transaction() as connection:
            return await (await connection.execute(query, parameters)).fetchall()

    async def select_projected(
        self, query: LiteralString, parameters: Parameters | None = None
    ) -> list[dict[str, Any]]:
        """The rows of a statement on the read model; none while there is no read model yet.

        Raises:
            StoreUnavailableError: Postgres doesn't answer.
        """
        try:
            return await self.select(query, parameters)
        except errors.UndefinedTable:
            return []

    @contextlib.asynccontextmanager
    async def transaction(self) -> AsyncGenerator[Connection]:
        """A connection in a transaction of its own.

        Raises:
            StoreUnavailableError: nothing is known of what the transaction did.
        """
        try:
            async with (
                asyncio.timeout(_STATEMENT_TIMEOUT_S),
                self._pool.connection() as connection,
                connection.transaction(),
            ):
                yield connection
        except (psycopg.OperationalError, psycopg.InterfaceError, TimeoutError) as error:
            raise StoreUnavailableError(type(error).__name__) from error

    async def ping(self) -> None:
        """Returns where Postgres answers.

        Raises:
            StoreUnavailableError: it doesn't, within some seconds.
        """
        try:
            async with asyncio.timeout(_CONNECTION_TIMEOUT_S):
                await self.select("SELECT 1")
        except TimeoutError as error:
            raise StoreUnavailableError("no answer") from error
