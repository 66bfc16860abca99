"""All differences of two points as one stream, from one snapshot: CSV, NDJSON or Parquet.

Postgres joins the two audiences once, and the columns of both sides become lines here, a
whole column at a time: row by row, a million users take minutes.
In CSV there is a line for each field that differs, in Parquet a row, in NDJSON one line for each
user, with what
:class:`ingest_api.openapi.response_types.UserDifference` has.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal, LiteralString, cast

import pyarrow as pa
import pyarrow.compute

from ingest_api.as_of.diff import (
    DIFFER,
    JOIN_SETTINGS,
    MERGE_SETTING,
    SELECT_GENERATIONS,
    both_sides,
)
from ingest_api.formats.parquet import parquet_pieces
from ingest_api.formats.text import (
    CSV_LINE_END,
    bytes_of,
    csv_cell,
    csv_cells,
    csv_line,
    either,
    filled,
    joined,
    joined_without_nulls,
    json_texts,
    neutralised,
    with_head,
)
from ingest_api.openapi.user_answers import SHOWN_NAMES
from ingest_api.postgres.row_stream import RowPieces
from schemas.read_model.copy_csv import copied_columns
from schemas.rules.fields import FIELD_BY_NAME

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ingest_api.as_of.diff import DiffPage
    from ingest_api.postgres.blocking_reader import BlockingReader

pc: Any = pyarrow.compute
Side = Literal["old", "new"]

_COLUMNS: Final = ("kind", "key", "id", "field", "before", "after")
# Without it Excel takes the file for another encoding.
_CSV_HEAD: Final = "\ufeff" + csv_line(_COLUMNS, CSV_LINE_END)
_SCHEMA: Final = pa.schema([(name, pa.string()) for name in _COLUMNS])
_KIND: Final[LiteralString] = (
    "CASE WHEN old.key IS NULL THEN 'added' WHEN new.key IS NULL THEN 'removed' ELSE 'changed' END"
)
_COPY: LiteralString = (
    """
COPY (SELECT <kind>, COALESCE(new.key, old.key), COALESCE(new.id, old.id), <values>
      FROM <both>
      WHERE (<differ>) AND <kind> = ANY(%(kinds)s)
      ORDER BY COALESCE(new.key, old.key))
TO STDOUT (FORMAT csv)
""".replace("<kind>", _KIND)
    .replace("<both>", both_sides(" FULL JOIN "))
    .replace("<differ>", DIFFER)
)
_SELECT_ATTRIBUTES: Final[LiteralString] = """
SELECT name, type FROM {old}.attribute_definitions
UNION SELECT name, type FROM {new}.attribute_definitions
ORDER BY name
"""
_DAY: Final[LiteralString] = "to_char(<side>.last_active_date, 'MM/DD/YYYY') || ' 12:00:00 AM GMT'"


@dataclass(frozen=True, slots=True)
class _Value:
    """One field of a user: its shown name, its text in SQL, and whether JSON quotes it."""

    name: str
    text: LiteralString
    is_string: bool

    def of(self, side: LiteralString) -> LiteralString:
        return self.text.replace("<side>", side)


def csv_differences(reader: BlockingReader, page: DiffPage) -> RowPieces:
    """Return all differences of the page's kinds after its key as CSV; its size is no limit.

    A cell that a spreadsheet would run as a formula gets an apostrophe before it.
    """
    users = _differing(reader, page)
    return RowPieces(with_head(_CSV_HEAD, (bytes_of(_csv_lines(some)) for some in users)))


def json_differences(reader: BlockingReader, page: DiffPage) -> RowPieces:
    """Return the same as NDJSON: one JSON object on each line."""
    return RowPieces(bytes_of(_json_lines(some)) for some in _differing(reader, page))


def parquet_differences(reader: BlockingReader, page: DiffPage) -> RowPieces:
    """Return what the CSV has as Parquet; there an absent value is null, and no cell is changed."""
    tables = map(_table, _differing(reader, page))
    return RowPieces(parquet_pieces(tables, _SCHEMA))


def _differing(reader: BlockingReader, page: DiffPage) -> Iterator[_Differing]:
    """Yield the users that differ, by key, some thousand at a time."""
    reader.select(JOIN_SETTINGS)
    reader.select(MERGE_SETTING, ("off",))
    generations = reader.select(SELECT_GENERATIONS)
    if not generations:
        return
    attributes = reader.select(_SELECT_ATTRIBUTES)
    values = [*_field_values(), *map(_attribute_value, range(len(attributes)), attributes)]
    parameters: dict[str, object] = {
        **generations[0],
        "after": page.after,
        "kinds": list(page.kinds),
        **{f"name{number}": row["name"] for number, row in enumerate(attributes)},
    }
    rows = reader.copy(_COPY.replace("<values>", _both_values(values)), parameters)
    names = [f"{side}{n}" for side in ("old", "new") for n in range(len(values))]
    types = dict.fromkeys(("kind", "key", "id", *names), pa.string())
    for table in copied_columns(reader.read_ahead(rows), types):
        yield _Differing.of(table.combine_chunks(), values)


def _field_values() -> list[_Value]:
    found: list[_Value] = []
    for column, shown in SHOWN_NAMES.items():
        kind = FIELD_BY_NAME[column].kind
        text: LiteralString = "<side>." + cast("LiteralString", column)
        if kind == "date":
            text = _DAY
        elif kind == "boolean":
            text += "::text"
        found.append(_Value(shown, text, is_string=kind != "boolean"))
    return found


def _attribute_value(number: int, row: dict[str, Any]) -> _Value:
    text: LiteralString = "<side>.attributes ->> %(name<n>)s::text"
    text = text.replace("<n>", cast("LiteralString", str(number)))
    return _Value(f"attributes.{row['name']}", text, row["type"] in {"string", "date"})


def _both_values(values: Sequence[_Value]) -> LiteralString:
    return ", ".join([value.of(side) for side in ("old", "new") for value in values])


@dataclass(frozen=True, slots=True)
class _Field:
    """One field of some users before and after; ``differs`` says of which it is not the same."""

    value: _Value
    before: pa.StringArray
    after: pa.StringArray
    differs: Any


@dataclass(frozen=True, slots=True)
class _Differing:
    """Some users that differ, in columns."""

    kind: pa.StringArray
    key: pa.StringArray
    id: pa.StringArray
    fields: Sequence[_Field]

    @classmethod
    def of(cls, table: pa.Table, values: Sequence[_Value]) -> _Differing:
        """Find which fields differ; a null differs from every value."""
        columns: list[Any] = [column.chunk(0) for column in table.columns]
        old, new = columns[3 : 3 + len(values)], columns[3 + len(values) :]
        fields = [
            _Field(value, before, after, _differs(before, after))
            for value, before, after in zip(values, old, new, strict=True)
        ]
        return cls(columns[0], columns[1], columns[2], fields)


def _differs(before: Any, after: Any) -> Any:
    is_one_null = pc.xor(pc.is_null(before), pc.is_null(after))
    return pc.or_(is_one_null, pc.fill_null(pc.not_equal(before, after), fill_value=False))


def _csv_lines(users: _Differing) -> pa.StringArray:
    place = joined(users.kind, ",", _cells(users.key), ",", users.id)
    lines: list[Any] = []
    for field in users.fields:
        name = f",{csv_cell(field.value.name)},"
        cells = [_cells(filled(side, "")) for side in (field.before, field.after)]
        line = joined(place, name, cells[0], ",", cells[1], CSV_LINE_END)
        lines.append(either(field.differs, line, None))
    return joined_without_nulls(lines)


def _table(users: _Differing) -> pa.Table:
    """Return a row for each field of each user that differs, by user."""
    order = pa.array(range(len(users.key)))
    places = pa.table([users.kind, users.key, users.id, order], [*_COLUMNS[:3], "order"])
    parts: list[pa.Table] = []
    for field in users.fields:
        name = pa.repeat(field.value.name, len(order))
        cells = zip(_COLUMNS[3:], (name, field.before, field.after), strict=True)
        whole = places
        for column, values in cells:
            whole = whole.append_column(column, values)
        parts.append(whole.filter(field.differs))
    return pa.concat_tables(parts).sort_by("order").select(_COLUMNS)


def _cells(values: pa.StringArray) -> pa.StringArray:
    return csv_cells(neutralised(values))


def _json_lines(users: _Differing) -> pa.StringArray:
    before = _json_objects([(field, field.before) for field in users.fields])
    after = _json_objects([(field, field.after) for field in users.fields])
    return joined(
        '{"kind":"',
        users.kind,
        '","key":',
        json_texts(users.key),
        ',"id":"',
        users.id,
        '","before":',
        either(pc.equal(users.kind, "added"), "null", before),
        ',"after":',
        either(pc.equal(users.kind, "removed"), "null", after),
        "}\n",
    )


def _json_objects(side: Sequence[tuple[_Field, pa.StringArray]]) -> pa.StringArray:
    """Return an object for each user: the values, on this side, of the fields that differ."""
    members: list[Any] = []
    for field, values in side:
        texts = json_texts(values) if field.value.is_string else values
        member = joined(f"{json.dumps(field.value.name)}:", filled(texts, "null"))
        members.append(either(field.differs, member, None))
    return joined("{", joined_without_nulls(members, ","), "}")
