"""Reads the users that a filter takes, and writes them in one of the formats.

Postgres makes the text of every value; what CSV needs is passed on as it comes.
The leaves of the generation are read one after another, each by id, so the order is that
of ids, and no sort is larger than a leaf.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Any, Final, LiteralString

import pyarrow as pa

from ingest_api.export.columns import (
    DISTINCT,
    attribute_columns,
    chosen_columns,
    name_parameters,
)
from ingest_api.formats.parquet import parquet_pieces
from ingest_api.formats.text import bytes_of, csv_line, json_lines, with_head
from ingest_api.postgres.row_stream import RowPieces
from schemas.read_model.copy_csv import copied_columns

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

    from ingest_api.export.columns import Column
    from ingest_api.formats.tables import Format
    from ingest_api.postgres.blocking_reader import BlockingReader
    from ingest_api.users.filters import UserFilter
    from schemas.read_model.copy_csv import CopiedRows

_MOST_PAIRS: Final = 50
"""A function of Postgres takes a hundred arguments."""
_SETTINGS: Final[LiteralString] = """
SELECT set_config('work_mem', '64MB', true), set_config('jit', 'off', true)
"""
_SELECT_LEAVES: Final[LiteralString] = """
SELECT generation, partition, users FROM {schema}.user_leaves
WHERE partition IS NOT NULL ORDER BY partition
"""
_SELECT_ATTRIBUTES: Final[LiteralString] = """
SELECT name, type FROM {schema}.attributes ORDER BY name
"""
_COUNT: Final[LiteralString] = """
SELECT count(*) AS total FROM {schema}.user_leaf_rows
WHERE generation = %(generation)s AND <condition>
"""
_COPY: Final[LiteralString] = """
COPY (SELECT <values> FROM {schema}.user_leaf_rows
      WHERE generation = %(generation)s AND partition = %(partition)s AND <condition>
      ORDER BY id)
TO STDOUT (FORMAT csv)
"""


@dataclass(frozen=True, slots=True)
class Export:
    """What to export: which users, which columns (None: those of an import), and as what."""

    users: UserFilter
    columns: Sequence[str] | None
    format: Format
    retired: Collection[str] = ()
    """Attributes that are no columns unless they are named."""


def exported_users(reader: BlockingReader, export: Export, reconciliation_key: str) -> RowPieces:
    """Return the users by id in the format, and how many they are.

    Raises:
        InvalidRequestError: a column or an attribute to filter by is unknown.
    """
    reader.select(_SETTINGS)
    defined = reader.select(_SELECT_ATTRIBUTES)
    types = {row["name"]: row["type"] for row in defined}
    columns = [
        column
        for column in chosen_columns(attribute_columns(types), export.columns)
        if export.columns or column.name not in export.retired
    ]
    condition = export.users.condition(reconciliation_key) or "true"
    parameters = {**export.users.parameters(types, reconciliation_key), **name_parameters(types)}
    leaves = reader.select(_SELECT_LEAVES)
    rows = _Rows(reader, leaves, condition, parameters)
    total = sum(leaf["users"] for leaf in leaves) if export.users.is_empty else rows.count()
    return RowPieces(_WRITERS[export.format](rows, columns), total)


@dataclass(frozen=True, slots=True)
class _Rows:
    """The users that fulfil the condition, in the leaves of the active generation."""

    reader: BlockingReader
    leaves: Sequence[Mapping[str, Any]]
    condition: LiteralString
    parameters: Mapping[str, object]

    def count(self) -> int:
        """Return how many they are."""
        if not self.leaves:
            return 0
        parameters = {**self.parameters, "generation": self.leaves[0]["generation"]}
        counted = self.reader.select(self._statement(_COUNT), parameters)
        return counted[0]["total"]

    def copied(self, values: Sequence[LiteralString]) -> Iterator[CopiedRows]:
        """Yield blocks with a line of CSV with these values for each, by id."""
        statement = self._statement(_COPY).replace("<values>", ", ".join(values))
        copies = (self.reader.copy(statement, {**self.parameters, **leaf}) for leaf in self.leaves)
        return self.reader.read_ahead(chain.from_iterable(copies))

    def _statement(self, statement: LiteralString) -> LiteralString:
        return statement.replace("<condition>", self.condition)


def _csv(rows: _Rows, columns: Sequence[Column]) -> Iterator[bytes]:
    head = csv_line((column.header for column in columns), "\n")
    blocks = rows.copied([column.text for column in columns])
    return with_head(head, (block.text for block in blocks))


def _ndjson(rows: _Rows, columns: Sequence[Column]) -> Iterator[bytes]:
    """Yield an object a line; the custom attributes that are set stand in one of their own."""
    own = [column for column in columns if not column.attribute]
    attributes = [column for column in columns if column.attribute]
    values: list[LiteralString] = [column.text for column in own]
    is_quoted = {column.name: column.kind != "boolean" for column in own}
    if attributes:
        values.append(_json_of(attributes))
        is_quoted["attributes"] = False
    for table in copied_columns(rows.copied(values), dict.fromkeys(is_quoted, pa.string())):
        texts: Any = (column.chunk(0) for column in table.combine_chunks().columns)
        members = zip(is_quoted, texts, is_quoted.values(), strict=True)
        yield bytes_of(json_lines(members))


def _json_of(attributes: Sequence[Column]) -> LiteralString:
    """Return the SQL of an object with those of these attributes that are set."""
    names: list[LiteralString] = [attribute.attribute for attribute in attributes]
    pairs: list[LiteralString] = [name + ", attributes -> " + name for name in names]
    objects: list[LiteralString] = [
        "jsonb_build_object(" + ", ".join(pairs[start : start + _MOST_PAIRS]) + ")"
        for start in range(0, len(pairs), _MOST_PAIRS)
    ]
    return "jsonb_strip_nulls(" + " || ".join(objects) + ")"


def _parquet(rows: _Rows, columns: Sequence[Column]) -> Iterator[bytes]:
    types = {column.name: column.type for column in columns}
    tables = copied_columns(rows.copied([column.value for column in columns]), types)
    return parquet_pieces(tables, pa.schema(list(types.items())), DISTINCT)


_WRITERS: Final[Mapping[Format, Callable[[_Rows, Sequence[Column]], Iterator[bytes]]]] = {
    "csv": _csv,
    "ndjson": _ndjson,
    "parquet": _parquet,
}
