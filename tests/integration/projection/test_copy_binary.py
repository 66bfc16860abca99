"""What goes into a table by COPY comes out of it as it was."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any, LiteralString

import psycopg
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from psycopg import errors

from schemas.read_model.copy_binary import COPY_HEADER, COPY_TRAILER, copy_input, jsonb

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from tests.support.servers.surroundings import Ground

_TABLE: LiteralString = """
CREATE TEMPORARY TABLE copied (
    id bigint, name text, at timestamptz, day date, number integer, is_so boolean, more jsonb,
    note text
)
"""
_COPY: LiteralString = "COPY copied FROM STDIN (FORMAT binary)"
_TYPES = (
    pa.int64(), pa.string(), pa.timestamp("us"), pa.date32(), pa.int32(), pa.bool_(), pa.string(),
    pa.string(),
)  # fmt: skip
_texts = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=30)
_row = st.tuples(
    st.integers(-(2**63), 2**63 - 1),
    _texts,
    st.datetimes(),
    st.dates(),
    st.integers(-(2**31), 2**31 - 1),
    st.booleans(),
    st.dictionaries(_texts, _texts | st.integers(-(2**31), 2**31), max_size=2).map(json.dumps),
    _texts,
)
_whole = st.lists(_row, max_size=12)
_with_nulls = st.lists(
    _row.flatmap(lambda row: st.tuples(*(st.none() | st.just(value) for value in row))),
    max_size=12,
)
_ROW = (1, "a", datetime(1999, 1, 1), date(1999, 1, 1), -1, False, "{}", "")  # noqa: DTZ001 - of UTC, as events have it


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(pieces=st.lists(_whole | _with_nulls, max_size=3))
@example(pieces=[[_ROW], [(None,) * len(_ROW)], [_ROW, (None,) * len(_ROW)], []])
def test_rows_come_out_as_they_went_in(env: Ground, pieces: list[list[Any]]) -> None:
    """Of every type that tables are filled with, with and without nulls, in several pieces."""
    with psycopg.connect(env.conninfo, options="-c timezone=UTC") as connection:
        connection.execute(_TABLE)
        _copy(connection, _COPY, map(_input, pieces))
        found = connection.execute("SELECT * FROM copied").fetchall()
    assert found == [_expected(row) for piece in pieces for row in piece]


def test_a_wrong_type_is_refused(env: Ground) -> None:
    """Never taken for another number."""
    with psycopg.connect(env.conninfo) as connection:
        connection.execute(_TABLE)
        statement: LiteralString = "COPY copied (number) FROM STDIN (FORMAT binary)"
        bigint = copy_input({"number": pa.array([7])})
        with pytest.raises(errors.InvalidBinaryRepresentation):
            _copy(connection, statement, [bigint])


def _copy(
    connection: psycopg.Connection, statement: LiteralString, pieces: Iterable[memoryview]
) -> None:
    with connection.cursor().copy(statement) as copy:
        for octets in (COPY_HEADER, *pieces, COPY_TRAILER):
            copy.write(octets)


def _input(rows: Sequence[tuple[Any, ...]]) -> memoryview:
    columns = list(zip(*rows, strict=True)) or [()] * len(_TYPES)
    arrays: dict[str, Any] = {
        f"c{at}": pa.array(values, kind)
        for at, (values, kind) in enumerate(zip(columns, _TYPES, strict=True))
    }
    return copy_input(arrays | {"c6": jsonb(arrays["c6"])})


def _expected(row: tuple[Any, ...]) -> tuple[Any, ...]:
    number, name, at, day, small, is_so, more, note = row
    at = None if at is None else at.replace(tzinfo=UTC)
    return number, name, at, day, small, is_so, None if more is None else json.loads(more), note
