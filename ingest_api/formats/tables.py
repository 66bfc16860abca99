"""Tables of texts and whole numbers as CSV, NDJSON or Parquet."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Literal

import pyarrow as pa
import pyarrow.compute

from ingest_api.formats.parquet import parquet_pieces
from ingest_api.formats.text import (
    CSV_LINE_END,
    bytes_of,
    csv_cells,
    csv_line,
    filled,
    joined,
    json_lines,
    with_head,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

pc: Any = pyarrow.compute
Format = Literal["csv", "ndjson", "parquet"]
FORMATS: Final[tuple[Format, ...]] = ("csv", "ndjson", "parquet")


def table_pieces(
    tables: Iterator[pa.Table], schema: pa.Schema, as_format: Format
) -> Iterator[bytes]:
    """Yield the bytes of a file with these tables, a table at a time or more."""
    return _WRITERS[as_format](tables, schema)


def _csv(tables: Iterator[pa.Table], schema: pa.Schema) -> Iterator[bytes]:
    return with_head(csv_line(schema.names, CSV_LINE_END), map(_csv_lines, tables))


def _csv_lines(table: pa.Table) -> bytes:
    parts: list[Any] = []
    for text, is_string in _texts(table):
        cells = csv_cells(text) if is_string else text
        parts += ["," if parts else "", filled(cells, "")]
    return bytes_of(joined(*parts, CSV_LINE_END))


def _ndjson(tables: Iterator[pa.Table], schema: pa.Schema) -> Iterator[bytes]:
    for table in tables:
        members = zip(schema.names, _texts(table), strict=True)
        yield bytes_of(json_lines((name, *text) for name, text in members))


def _texts(table: pa.Table) -> Iterator[tuple[Any, bool]]:
    """Yield each column as texts, and whether they are strings."""
    for column in table.columns:
        whole: Any = pc.cast(column, pa.string()).combine_chunks()
        yield whole, pa.types.is_string(column.type)


_WRITERS: Final[Mapping[Format, Callable[[Iterator[pa.Table], pa.Schema], Iterator[bytes]]]] = {
    "csv": _csv,
    "ndjson": _ndjson,
    "parquet": parquet_pieces,
}
