"""What Postgres copies out, a row at a time, in flat memory."""

from __future__ import annotations

import select
from typing import TYPE_CHECKING

from psycopg import errors, pq

if TYPE_CHECKING:
    from collections.abc import Iterator


def copied_lines(connection: pq.abc.PGconn, statement: bytes) -> Iterator[memoryview]:
    """What a ``COPY … TO STDOUT`` gives.

    By libpq itself, as psycopg's own way takes twice the time a row; other threads go on meanwhile.

    Raises:
        psycopg.Error: what Postgres says.
    """
    begun = connection.exec_(statement)
    if begun.status != pq.ExecStatus.COPY_OUT:
        raise errors.error_from_result(begun)
    next_line = connection.get_copy_data
    while (found := next_line(1))[0] >= 0:
        size, line = found
        if size:
            yield line
        else:
            select.select([connection.socket], [], [])
            connection.consume_input()
    while ended := connection.get_result():
        if ended.status != pq.ExecStatus.COMMAND_OK:
            raise errors.error_from_result(ended)
