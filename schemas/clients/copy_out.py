"""Reads the rows of a ``COPY … TO STDOUT (FORMAT csv)`` in blocks, in constant memory."""

from __future__ import annotations

import select
from typing import TYPE_CHECKING, Final

from psycopg import errors, pq

from schemas.read_model.copy_csv import CopiedRows

if TYPE_CHECKING:
    from collections.abc import Iterator

BLOCK_BYTES: Final = 1 << 20
"""Enough for Arrow to work on whole columns, and little beside the rest of a process."""


def copied_rows(
    connection: pq.abc.PGconn, statement: bytes, *, block_bytes: int = BLOCK_BYTES
) -> Iterator[CopiedRows]:
    """Yield the rows of a ``COPY … TO STDOUT``, so many in a block as together reach this size.

    It calls libpq itself, as psycopg's way takes twice the time a row; other threads go on.

    Raises:
        psycopg.Error: Postgres refused or ended the statement.
    """
    started = connection.exec_(statement)
    if started.status != pq.ExecStatus.COPY_OUT:
        raise errors.error_from_result(started)
    gathered, count = bytearray(), 0
    next_row = connection.get_copy_data
    while (received := next_row(1))[0] >= 0:
        if not received[0]:
            select.select([connection.socket], [], [])
            connection.consume_input()
            continue
        # Copied at once: where each row's view is kept until the block is whole, Python's
        # garbage collector looks at them again and again, which took most of an export's time.
        gathered += received[1]
        count += 1
        if len(gathered) >= block_bytes:
            yield CopiedRows(bytes(gathered), count)
            gathered.clear()
            count = 0
    while ended := connection.get_result():
        if ended.status != pq.ExecStatus.COMMAND_OK:
            raise errors.error_from_result(ended)
    if count:
        yield CopiedRows(bytes(gathered), count)
