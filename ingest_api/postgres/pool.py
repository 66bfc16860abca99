"""The API's connection pool; every failure to reach Postgres is one exception."""

from __future__ import annotations

import asyncio
import contextlib
from functools import partial
from typing import TYPE_CHECKING, Any, Final, LiteralString, TypeVar

import psycopg
from psycopg import errors, sql
from psycopg.rows import dict_row
from psycopg_pool import AsyncConnectionPool

from ingest_api.errors import StoreUnavailableError
from ingest_api.postgres.blocking_reader import BlockingReader
from ingest_api.postgres.metrics import POOL_CONNECTIONS, POOL_WAITING
from ingest_api.postgres.schema_names import SchemaNames
from schemas.clients.metrics import POSTGRES_FAILURES
from schemas.runtime.abandoned import mark_retrieved
from schemas.runtime.outage import POSTGRES

if TYPE_CHECKING:
    from collections.abc import (
        AsyncGenerator,
        Awaitable,
        Callable,
        Coroutine,
        Generator,
        Mapping,
    )

    from ingest_api.postgres.schema_names import Parameters

_CONNECTION_TIMEOUT_S: Final = 3
_STATEMENT_TIMEOUT_S: Final = 30
_MOST_CONNECTIONS: Final = 8
MOST_SEARCHES: Final = 5
"""Of all connections; the others are for requests that are short, and for readiness."""
_T = TypeVar("_T")


_PARAMETERS: Final[dict[str, Any]] = {
    "autocommit": True,
    "row_factory": dict_row,
    "prepare_threshold": None,  # works behind PgBouncer too
    "connect_timeout": _CONNECTION_TIMEOUT_S,
    "application_name": "rollcall-api",
}
Connection = psycopg.AsyncConnection[dict[str, Any]]


_TIMES: Final = "SELECT set_config('timezone', 'UTC', false), set_config('datestyle', 'ISO', false)"
"""Has times sent as UTC: in another zone the first and the last of them are none in Python."""


async def _configure(connection: Connection) -> None:
    await connection.execute(_TIMES)


async def _check(connection: Connection) -> None:
    """Find out that the server has closed a connection before a query uses it."""
    await connection.execute("")


@contextlib.contextmanager
def _reached() -> Generator[None]:
    """Make one error of every failure to reach Postgres.

    Raises:
        StoreUnavailableError: it can't be reached, or did not answer in time.
    """
    try:
        yield
    except (psycopg.OperationalError, psycopg.InterfaceError, TimeoutError) as error:
        POSTGRES.suspect()
        POSTGRES_FAILURES.labels(type(error).__name__).inc()
        raise StoreUnavailableError(type(error).__name__) from error


class Snapshot:
    """One transaction whose statements all see the same state of the read model.

    ``schemas`` are the Postgres schemas by the names that statements have for them: ``{name}``.
    """

    def __init__(self, connection: Connection, schemas: Mapping[str, str]) -> None:
        self._connection = connection
        self._schemas = SchemaNames(schemas)
        self._has_read_model = True

    async def select(
        self, query: LiteralString, parameters: Parameters | None = None
    ) -> list[dict[str, Any]]:
        """Return the rows of a statement; none while there is no read model yet.

        Raises:
            SchemaGoneError: a schema other than ``public`` does not exist.
        """
        if not self._has_read_model:
            return []
        statement = self._schemas.named_in(query)
        try:
            return await (await self._connection.execute(statement, parameters)).fetchall()
        except errors.UndefinedTable:
            self._schemas.check_may_be_missing()
            self._has_read_model = False
            return []


class Database:
    """A pool of connections to Postgres, and the kinds of transactions that the API uses."""

    def __init__(self, conninfo: str) -> None:
        self._conninfo = conninfo
        self._selecting: set[asyncio.Task[Any]] = set()
        self._pool: AsyncConnectionPool[Connection] = AsyncConnectionPool(
            conninfo,
            connection_class=Connection,
            kwargs=_PARAMETERS,
            min_size=1,
            max_size=_MOST_CONNECTIONS,
            timeout=_CONNECTION_TIMEOUT_S,
            reconnect_timeout=2,
            configure=_configure,
            check=_check,
            open=False,
        )
        for number, gauge in (
            ("pool_size", POOL_CONNECTIONS.labels("all")),
            ("pool_available", POOL_CONNECTIONS.labels("idle")),
            ("requests_waiting", POOL_WAITING),
        ):
            gauge.set_function(partial(self._pool_number, number))

    def _pool_number(self, name: str) -> int:
        return self._pool.get_stats().get(name, 0)

    async def open(self) -> None:
        """Begin to connect; return at once."""
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
        """Return the rows of one statement.

        Raises:
            StoreUnavailableError: they did not come within the time-out.
        """
        return await self._within(timeout_s, self._select(query, parameters))

    async def read(
        self,
        work: Callable[[Snapshot], Awaitable[_T]],
        schemas: Mapping[str, str] | None = None,
        *,
        timeout_s: float = _STATEMENT_TIMEOUT_S,
    ) -> _T:
        """Run ``work`` on one snapshot of the read model, and return its result.

        Where ``schemas`` are given, statements name them by placeholders, see :class:`Snapshot`.

        Raises:
            StoreUnavailableError: Postgres doesn't answer.
            SchemaGoneError: one of the schemas does not exist.
        """
        return await self._within(timeout_s, self._read(work, schemas or {}, timeout_s))

    async def _read(
        self,
        work: Callable[[Snapshot], Awaitable[_T]],
        schemas: Mapping[str, str],
        timeout_s: float,
    ) -> _T:
        async with self._connection(timeout_s) as connection:
            await connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY")
            return await work(Snapshot(connection, schemas))

    _PAGE: Final = "SELECT {columns} FROM {table} ORDER BY {order} LIMIT %s OFFSET %s"
    _TOTAL: Final = "SELECT count(*) AS total FROM {table}"

    async def select_page(
        self,
        columns: LiteralString,
        table: LiteralString,
        *,
        order: LiteralString,
        size: int,
        start: int,
    ) -> tuple[int, list[dict[str, Any]]]:
        """Return the number of rows, and ``size`` of them from ``start`` on; 0 without the table.

        Raises:
            StoreUnavailableError: Postgres doesn't answer.
        """

        async def read(snapshot: Snapshot) -> tuple[int, list[dict[str, Any]]]:
            query = self._PAGE.format(columns=columns, table=table, order=order)
            rows = await snapshot.select(query, (size, start))
            counted = await snapshot.select(self._TOTAL.format(table=table))
            return counted[0]["total"] if counted else 0, rows

        return await self.read(read)

    async def _within(self, timeout_s: float, work: Coroutine[Any, Any, _T]) -> _T:
        task = asyncio.create_task(work)
        self._selecting.add(task)
        task.add_done_callback(self._forget)
        try:
            # psycopg takes ten seconds to give up a connection whose server is frozen; nobody
            # waits for that.
            if not (await asyncio.wait({task}, timeout=timeout_s))[0]:
                raise StoreUnavailableError("no answer")
            return task.result()
        finally:
            task.cancel()

    async def _select(
        self, query: LiteralString, parameters: Parameters | None
    ) -> list[dict[str, Any]]:
        # A statement is a transaction by itself: BEGIN and COMMIT would be two more round trips.
        async with self._connection(_STATEMENT_TIMEOUT_S) as connection:
            return await (await connection.execute(query, parameters)).fetchall()

    def _forget(self, task: asyncio.Task[Any]) -> None:
        self._selecting.discard(task)
        mark_retrieved(task)

    async def select_projected(
        self,
        query: LiteralString,
        parameters: Parameters | None = None,
        *,
        timeout_s: float = _STATEMENT_TIMEOUT_S,
    ) -> list[dict[str, Any]]:
        """Return the rows of a statement on the read model; none while there is none yet.

        Raises:
            StoreUnavailableError: Postgres doesn't answer.
        """
        try:
            return await self.select(query, parameters, timeout_s=timeout_s)
        except errors.UndefinedTable:
            return []

    @contextlib.asynccontextmanager
    async def transaction(
        self, *, timeout_s: float = _STATEMENT_TIMEOUT_S
    ) -> AsyncGenerator[Connection]:
        """Yield a connection in a transaction of its own.

        Raises:
            StoreUnavailableError: nothing is known of what the transaction did.
        """
        async with self._connection(timeout_s) as connection, connection.transaction():
            yield connection

    @contextlib.asynccontextmanager
    async def _connection(self, timeout_s: float) -> AsyncGenerator[Connection]:
        """Yield a connection; a transaction that is begun on it ends with the context."""
        with _reached():
            async with asyncio.timeout(timeout_s), self._pool.connection() as connection:
                yield connection

    @contextlib.contextmanager
    def blocking_reader(
        self, timeout_s: float, schemas: Mapping[str, str] | None = None
    ) -> Generator[BlockingReader]:
        """Yield a snapshot on a connection of its own; the time-out holds for each statement.

        Where ``schemas`` are given, statements name them by placeholders, see :class:`Snapshot`.

        Raises:
            StoreUnavailableError: Postgres doesn't answer.
        """
        options = f"-c statement_timeout={timeout_s:.0f}s"
        with _reached():
            connection = psycopg.Connection[dict[str, Any]].connect(
                self._conninfo, **_PARAMETERS, options=options
            )
            # It is closed also in the middle of a COPY, which nothing could roll back.
            with contextlib.closing(connection), contextlib.ExitStack() as opened:
                connection.execute(_TIMES)
                connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
                yield BlockingReader(connection, schemas or {}, opened)

    async def notifications(self, channel: LiteralString) -> AsyncGenerator[str]:
        """Yield the payloads of the channel as they come, over a connection of its own.

        The first is empty and says that the connection listens from now on.

        Raises:
            StoreUnavailableError: the connection failed or ended; what comes meanwhile is lost.
        """
        with _reached():
            connection = await psycopg.AsyncConnection.connect(
                self._conninfo,
                autocommit=True,
                connect_timeout=_CONNECTION_TIMEOUT_S,
                application_name="rollcall-api-listening",
                keepalives_idle=10,
                keepalives_interval=5,
                keepalives_count=3,
            )
            async with connection:
                await connection.execute(sql.SQL("LISTEN {}").format(sql.Identifier(channel)))
                yield ""
                async for notification in connection.notifies():
                    yield notification.payload

    @contextlib.asynccontextmanager
    async def session(self, timeout_s: float) -> AsyncGenerator[Connection]:
        """Yield a connection outside the pool, in a transaction; its temporary tables end with it.

        Raises:
            StoreUnavailableError: nothing is known of what the transaction did.
        """
        with _reached():
            async with (
                asyncio.timeout(timeout_s),
                await Connection.connect(self._conninfo, **_PARAMETERS) as connection,
            ):
                await _configure(connection)
                async with connection.transaction():
                    yield connection
