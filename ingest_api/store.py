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
        self._selecting: set[asyncio.Task[list[dict[str, Any]]]] = set()
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
        self,
        query: LiteralString,
        parameters: Parameters | None = None,
        *,
        timeout_s: float = _STATEMENT_TIMEOUT_S,
    ) -> list[dict[str, Any]]:
        """The rows of one statement.

        Raises:
            StoreUnavailableError: they did not come within the time-out.
        """
        task = asyncio.create_task(self._select(query, parameters))
        self._selecting.add(task)
        task.add_done_callback(self._forget)
        # psycopg takes ten seconds to give up a connection whose server is frozen; nobody
        # waits for that.
        if not (await asyncio.wait({task}, timeout=timeout_s))[0]:
            task.cancel()
            raise StoreUnavailableError("no answer")
        return task.result()

    async def _select(
        self, query: LiteralString, parameters: Parameters | None
    ) -> list[dict[str, Any]]:
        async with self.transaction() as connection:
            return await (await connection.execute(query, parameters)).fetchall()

    def _forget(self, task: asyncio.Task[list[dict[str, Any]]]) -> None:
        self._selecting.discard(task)
        if not task.cancelled():
            task.exception()  # whoever waited has seen it, or has gone

    async def select_projected(
        self,
        query: LiteralString,
        parameters: Parameters | None = None,
        *,
        timeout_s: float = _STATEMENT_TIMEOUT_S,
    ) -> list[dict[str, Any]]:
        """The rows of a statement on the read model; none while there is no read model yet.

        Raises:
            StoreUnavailableError: Postgres doesn't answer.
        """
        try:
            return await self.select(query, parameters, timeout_s=timeout_s)
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
