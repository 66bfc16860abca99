"""Reads the rows of a ``COPY … TO STDOUT`` one at a time, in constant memory."""

from __future__ import annotations

import select
from typing import TYPE_CHECKING

from psycopg import errors, pq

if TYPE_CHECKING:
    from collections.abc import Iterator


def copied_lines(connection: pq.abc.PGconn, statement: bytes) -> Iterator[memoryview]:
    """Yield the rows of a ``COPY … TO STDOUT``.

    It calls libpq itself, as psycopg's way takes twice the time a row; other threads go on.

    Raises:
        psycopg.Error: Postgres refused or ended the statement.
    """
    started = connection.exec_(statement)
    if started.status != pq.ExecStatus.COPY_OUT:
        raise errors.error_from_result(started)
    next_line = connection.get_copy_data
    while (received := next_line(1))[0] >= 0:
        size, line = received
        if size:
            yield line
        else:
            select.select([connection.socket], [], [])
            connection.consume_input()
    while ended := connection.get_result():
        if ended.status != pq.ExecStatus.COMMAND_OK:
            raise errors.error_from_result(ended)
