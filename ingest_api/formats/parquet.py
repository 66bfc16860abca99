"""Tables as a Parquet file, in pieces of about a row group."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa
import pyarrow.parquet

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from typing_extensions import Buffer

_ROW_GROUP_BYTES: Final = 4 << 20


def parquet_pieces(
    tables: Iterator[pa.Table], schema: pa.Schema, distinct: Collection[str] = ()
) -> Iterator[bytes]:
    """Yield the bytes of a file with these tables, whose row groups are about 4 MB in memory.

    ``distinct`` names columns whose values hardly repeat: a dictionary of them costs time and room.
    """
    sink = _Sink()
    file = pa.PythonFile(sink, mode="w")
    repeating: Any = [name for name in schema.names if name not in distinct]
    with pyarrow.parquet.ParquetWriter(file, schema, use_dictionary=repeating) as writer:
        for group in _row_groups(tables):
            writer.write_table(group, row_group_size=group.num_rows)
            yield sink.taken()
    yield sink.taken()


def _row_groups(tables: Iterator[pa.Table]) -> Iterator[pa.Table]:
    gathered: list[pa.Table] = []
    size = 0
    for table in tables:
        gathered.append(table)
        size += table.nbytes
        if size >= _ROW_GROUP_BYTES:
            yield pa.concat_tables(gathered)
            gathered, size = [], 0
    if gathered:
        yield pa.concat_tables(gathered)


class _Sink(io.RawIOBase):
    """A file that can only be written, whose bytes are taken as they come."""

    def __init__(self) -> None:
        super().__init__()
        self._written: list[bytes] = []

    def writable(self) -> bool:
        """Say so."""
        return True

    def write(self, data: Buffer, /) -> int:
        """Keep the bytes until they are taken."""
        self._written.append(bytes(data))
        return len(self._written[-1])

    def taken(self) -> bytes:
        """Return what has been written since the last time."""
        data = b"".join(self._written)
        self._written.clear()
        return data
