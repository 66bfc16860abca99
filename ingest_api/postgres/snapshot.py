"""One state of the read model: snapshots for the event loop, and for a thread that may block."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, LiteralString

import psycopg
from psycopg import errors, sql

from schemas.clients.copy_out import copied_lines

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    Parameters = Sequence[object] | Mapping[str, object]

Connection = psycopg.AsyncConnection[dict[str, Any]]
PUBLIC: Final = "public"
"""The Postgres schema whose views show the active projection instance."""
_CANCEL_TIMEOUT_S: Final = 3.0


class SchemaGoneError(Exception):
    """A projection instance was dropped before it was read."""


class _Schemas:
    """The Postgres schemas by the names that statements have for them: ``{name}``."""

    def __init__(self, schemas: Mapping[str, str]) -> None:
        self._names = {name: sql.Identifier(schema) for name, schema in schemas.items()}
        self._are_public = all(schema == PUBLIC for schema in schemas.values())

    def in_statement(self, query: LiteralString) -> LiteralString | sql.Composed:
        return sql.SQL(query).format(**self._names) if self._names else query

    def check_may_be_missing(self) -> None:
        """Raise where a schema other than ``public`` does not exist."""
        if not self._are_public:
            raise SchemaGoneError from None


class Snapshot:
    """One transaction whose statements all see the same state of the read model.

    ``schemas`` are the Postgres schemas by the names that statements have for them: ``{name}``.
    """

    def __init__(self, connection: Connection, schemas: Mapping[str, str]) -> None:
        self._connection = connection
        self._schemas = _Schemas(schemas)
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
        statement = self._schemas.in_statement(query)
        try:
            return await (await self._connection.execute(statement, parameters)).fetchall()
        except errors.UndefinedTable:
            self._schemas.check_may_be_missing()
            self._has_read_model = False
            return []


class BlockingReader:
    """One snapshot of the read model for a thread that may block; times are in UTC and ISO.

    ``schemas`` as :class:`Snapshot` has them.
    """

    def __init__(
        self, connection: psycopg.Connection[dict[str, Any]], schemas: Mapping[str, str]
    ) -> None:
        self._connection = connection
        self._schemas = _Schemas(schemas)

    def select(
        self, query: LiteralString, parameters: Parameters | None = None
    ) -> list[dict[str, Any]]:
        """Return the rows of a statement; none while there is no read model yet.

        Raises:
            SchemaGoneError: a schema other than ``public`` does not exist.
        """
        statement = self._schemas.in_statement(query)
        try:
            with self._connection.transaction():
                return self._connection.execute(statement, parameters).fetchall()
        except errors.UndefinedTable:
            self._schemas.check_may_be_missing()
            return []

    def copy(
        self, query: LiteralString, parameters: Parameters | None = None
    ) -> Iterator[memoryview]:
        """Yield the rows of a ``COPY … TO STDOUT`` one at a time, in constant memory."""
        statement = self._schemas.in_statement(query)
        text = psycopg.ClientCursor(self._connection).mogrify(statement, parameters)
        yield from copied_lines(self._connection.pgconn, text.encode())

    def cancel(self) -> None:
        """End the statement that runs, from another thread; do nothing where none does."""
        self._connection.cancel_safe(timeout=_CANCEL_TIMEOUT_S)
