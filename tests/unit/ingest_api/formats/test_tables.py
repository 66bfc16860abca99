"""Tables as files of each format, held against the readers of the standard library and Arrow."""

from __future__ import annotations

import csv
import io
import json
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest_api.formats.parquet import parquet_pieces
from ingest_api.formats.tables import table_pieces
from ingest_api.formats.text import neutralised, with_head

if TYPE_CHECKING:
    from collections.abc import Iterator

Row = dict[str, Any]

SCHEMA = pa.schema([("line", pa.int64()), ("text", pa.string()), ('a "b",\\', pa.string())])
_HOSTILE = st.text("aZß€😀\"',;|\\\t\n\r\x00\x1f\x7f\u2028\ufeff{}:=+-@", max_size=8)
_TEXTS = _HOSTILE | st.text(st.characters(codec="utf-8"), max_size=8)
_MAYBE = st.none() | _TEXTS
ROWS = st.lists(st.tuples(st.none() | st.integers(-(2**63), 2**63 - 1), _TEXTS, _MAYBE))


def in_tables(rows: list[Row], size: int = 3) -> Iterator[pa.Table]:
    """The rows, some in a table."""
    for start in range(0, len(rows), size):
        yield pa.Table.from_pylist(rows[start : start + size], SCHEMA)


@given(values=ROWS)
def test_each_format_gives_back_what_was_written(values: list[tuple[Any, ...]]) -> None:
    """Whatever is in a value or in a column's name; CSV alone can't tell null from empty."""
    rows: list[Row] = [dict(zip(SCHEMA.names, row, strict=True)) for row in values]
    lines = b"".join(table_pieces(in_tables(rows), SCHEMA, "ndjson")).split(b"\n")
    assert lines.pop() == b""
    assert [json.loads(line) for line in lines] == rows
    text = b"".join(table_pieces(in_tables(rows), SCHEMA, "csv")).decode()
    cells = [["" if cell is None else str(cell) for cell in row.values()] for row in rows]
    assert list(csv.reader(io.StringIO(text, newline=""))) == [SCHEMA.names, *cells]
    parquet = b"".join(table_pieces(in_tables(rows), SCHEMA, "parquet"))
    table = pyarrow.parquet.read_table(io.BytesIO(parquet))
    assert (table.schema.names, table.to_pylist()) == (SCHEMA.names, rows)


@given(values=st.lists(_MAYBE))
def test_no_cell_is_run_as_a_formula(values: list[str | None]) -> None:
    """What an apostrophe was put before comes back where one is taken off."""
    found: list[str | None] = neutralised(pa.array(values, pa.string())).to_pylist()
    for value, cell in zip(values, found, strict=True):
        if cell != value:
            assert cell == f"'{value}"
        assert not (cell or " ").startswith(tuple("=+-@\t\r"))


def test_what_fails_at_first_fails_before_its_head() -> None:
    """So that it can be told; a file without rows has its head alone."""

    def broken() -> Iterator[bytes]:
        raise ConnectionError
        yield b""

    with pytest.raises(ConnectionError):
        next(with_head("a,b\n", broken()))
    assert list(with_head("a,b\n", [])) == [b"a,b\n"]
    assert list(with_head("a,b\n", [b"1,2\n", b"3,4\n"])) == [b"a,b\n1,2\n", b"3,4\n"]


def test_row_groups_are_written_as_they_fill() -> None:
    """Of a hundred tables of a megabyte, memory holds a few."""
    made: list[int] = []

    def tables() -> Iterator[pa.Table]:
        for number in range(100):
            made.append(number)
            yield pa.table({"text": [f"{number:07}" * 10] * 14_000})

    pieces = parquet_pieces(tables(), pa.schema([("text", pa.string())]))
    next(pieces)
    assert len(made) < 10
