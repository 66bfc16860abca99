"""One snapshot of the read model for a thread that may block."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any, Final, LiteralString

import psycopg
from psycopg import errors

from ingest_api.postgres.read_ahead import read_ahead
from ingest_api.postgres.schema_names import SchemaNames
from schemas.clients.copy_out import BLOCK_BYTES, copied_rows

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ingest_api.postgres.schema_names import Parameters
    from schemas.read_model.copy_csv import CopiedRows

_CANCEL_TIMEOUT_S: Final = 3


class BlockingReader:
    """One snapshot of the read model for a thread that may block; times are in UTC and ISO.

    ``schemas`` as :class:`ingest_api.postgres.pool.Snapshot` has them.
    """

    def __init__(
        self,
        connection: psycopg.Connection[dict[str, Any]],
        schemas: Mapping[str, str],
        opened: contextlib.ExitStack,
    ) -> None:
        self._connection = connection
        self._schemas = SchemaNames(schemas)
        self._opened = opened

    def select(
        self, query: LiteralString, parameters: Parameters | None = None
    ) -> list[dict[str, Any]]:
        """Return the rows of a statement; none while there is no read model yet.

        Raises:
            SchemaGoneError: a schema other than ``public`` does not exist.
        """
        statement = self._schemas.named_in(query)
        try:
            with self._connection.transaction():
                return self._connection.execute(statement, parameters).fetchall()
        except errors.UndefinedTable:
            self._schemas.check_may_be_missing()
            return []

    def copy(
        self,
        query: LiteralString,
        parameters: Parameters | None = None,
        *,
        block_bytes: int = BLOCK_BYTES,
    ) -> Iterator[CopiedRows]:
        """Yield the rows of a ``COPY … TO STDOUT`` in blocks of this size, in constant memory."""
        statement = self._schemas.named_in(query)
        text = psycopg.ClientCursor(self._connection).mogrify(statement, parameters)
        yield from copied_rows(self._connection.pgconn, text.encode(), block_bytes=block_bytes)

    def read_ahead(self, copies: Iterator[CopiedRows]) -> Iterator[CopiedRows]:
        """Yield the blocks of these copies, read in a thread of its own until the reader ends."""
        blocks = read_ahead(copies, self.cancel)
        self._opened.callback(blocks.close)
        return blocks

    def cancel(self) -> None:
        """End the statement that runs, from another thread; do nothing where none does.

        Where Postgres doesn't take it, nothing is done either.
        """
        with contextlib.suppress(psycopg.OperationalError):
            self._connection.cancel_safe(timeout=_CANCEL_TIMEOUT_S)
