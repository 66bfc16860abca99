"""Columns are hashed as Postgres hashes them, so rows can be hashed where they lie."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any, LiteralString

import psycopg
import pyarrow as pa
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from schemas.read_model.column_hashes import hashes, record_hashes

if TYPE_CHECKING:
    from tests.support.servers.surroundings import Ground

_TYPES = (
    pa.string(), pa.int32(), pa.int64(), pa.bool_(), pa.date32(), pa.timestamp("us", tz="UTC")
)  # fmt: skip
_texts = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=40)
_rows = st.lists(
    st.tuples(
        st.none() | _texts,
        st.none() | st.integers(-(2**31), 2**31 - 1),
        st.none() | st.integers(-(2**63), 2**63 - 1),
        st.none() | st.booleans(),
        st.none() | st.dates(),
        st.none() | st.datetimes(timezones=st.just(UTC)),
    ),
    min_size=1,
    max_size=20,
)
_HASHED: LiteralString = """
SELECT hash_record_extended(ROW(a, b, c, d, e, f), 0)
FROM unnest(%s::text[], %s::integer[], %s::bigint[], %s::boolean[], %s::date[], %s::timestamptz[])
     WITH ORDINALITY AS row(a, b, c, d, e, f, place)
ORDER BY place
"""
_EVERY_LENGTH = [
    ("x" * length, length, -length, False, date(1999, 1, 1), datetime(1999, 1, 1, tzinfo=UTC))
    for length in range(40)
]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=_rows)
@example(rows=_EVERY_LENGTH)
def test_rows_have_the_hashes_that_postgres_gives_them(env: Ground, rows: list[Any]) -> None:
    """Of every type that users have, alone and together; a null is 0."""
    columns = [
        pa.array(values, kind) for values, kind in zip(zip(*rows, strict=True), _TYPES, strict=True)
    ]
    found = [hashes(column) for column in columns]
    assert record_hashes(found).tolist() == _of_records(env, rows)
    for column, numbers in zip(columns, found, strict=True):
        assert [number == 0 for number in numbers.tolist()] == column.is_null().to_pylist()


def _of_records(env: Ground, rows: list[Any]) -> list[int]:
    columns = [list(column) for column in zip(*rows, strict=True)]
    with psycopg.connect(env.conninfo) as connection:
        return [int(row[0]) % 2**64 for row in connection.execute(_HASHED, columns)]
