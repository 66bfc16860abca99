"""The columns of an export: those that an import takes, and others where they are asked for."""

from __future__ import annotations

from dataclasses import dataclass
from difflib import get_close_matches
from typing import TYPE_CHECKING, Final, Literal, LiteralString, cast

import pyarrow as pa

from ingest_api.errors import invalid_parameter
from schemas.read_model.copy_csv import TIME
from schemas.rules.attributes import plain_name
from schemas.rules.fields import FIELDS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from schemas.events import AttributeType
    from schemas.rules.fields import Field

Kind = Literal["text", "boolean", "number", "date", "time"]

_PARAMETER: Final = "columns"
_PLACEHOLDER: Final[LiteralString] = "%(column<n>)s::text"
_TYPES: Final[dict[Kind, pa.DataType]] = {
    "text": pa.string(),
    "boolean": pa.bool_(),
    "number": pa.float64(),
    "date": pa.date32(),
    "time": TIME,
}


@dataclass(frozen=True, slots=True)
class Column:
    """One column of an export.

    ``header`` is its name in CSV, ``name`` in NDJSON and Parquet; ``value`` is its value in SQL.
    Of a custom attribute, ``attribute`` is the statement's placeholder for its name.
    """

    name: str
    header: str
    kind: Kind
    value: LiteralString
    attribute: LiteralString = ""

    @property
    def text(self) -> LiteralString:
        """The value as text in SQL, as an import takes it."""
        if self.kind == "time":
            return "to_char(" + self.value + ', \'YYYY-MM-DD"T"HH24:MI:SS.US"Z"\')'
        return self.value + "::text" if self.kind == "boolean" else self.value

    @property
    def type(self) -> pa.DataType:
        """The column's type in Parquet."""
        return _TYPES[self.kind]


def _of_field(field: Field) -> Column:
    kinds: dict[str, Kind] = {"boolean": "boolean", "date": "date", "number": "number"}
    kind = kinds.get(field.kind, "text")
    value = cast("LiteralString", field.name)
    return Column(field.json_name, field.header, kind, value)


_FIELD_COLUMNS: Final = tuple(map(_of_field, FIELDS))
OTHER_COLUMNS: Final = (
    Column("id", "Id", "text", "id::text"),
    Column("key", "Key", "text", "key"),
    Column("createdDate", "Created Date", "time", "created_at"),
    Column("lastModifiedDate", "Last Modified Date", "time", "modified_at"),
    Column("jobId", "Job Id", "text", "job_id::text"),
)
"""Columns that no import takes."""
DISTINCT: Final = frozenset({"email", "mobileNumber", "id", "key"})
"""Columns whose values hardly repeat."""


def attribute_columns(types: Mapping[str, AttributeType]) -> list[Column]:
    """Return the columns of these custom attributes, whose names :func:`name_parameters` sets."""
    found: list[Column] = []
    for number, (name, attribute_type) in enumerate(types.items()):
        placeholder = _PLACEHOLDER.replace("<n>", cast("LiteralString", str(number)))
        kind: Kind = "text" if attribute_type == "string" else attribute_type
        value = "(attributes ->> " + placeholder + ")"
        value += "::boolean" if kind == "boolean" else ""
        found.append(Column(name, name, kind, value, placeholder))
    return found


def name_parameters(types: Iterable[str]) -> dict[str, object]:
    """Return the parameters with the names of these custom attributes."""
    return {f"column{number}": name for number, name in enumerate(types)}


def chosen_columns(attributes: Iterable[Column], names: Sequence[str] | None) -> list[Column]:
    """Return the columns with these names, in their order; without names those of an import.

    A name is one of CSV or of JSON, compared as the headers of a file are.

    Raises:
        InvalidRequestError: there is no such column, or it is named twice.
    """
    imported = [*_FIELD_COLUMNS, *attributes]
    if names is None:
        return imported
    known = {
        plain_name(name): column
        for column in (*imported, *OTHER_COLUMNS)  # an attribute may be called as one of these
        for name in (column.name, column.header)
    }
    chosen: list[Column] = []
    for name in names:
        column = known.get(plain_name(name))
        if column is None:
            raise invalid_parameter(_PARAMETER, _unknown(name, known))
        if column in chosen:
            raise invalid_parameter(_PARAMETER, f"The column {column.header} is named twice.")
        chosen.append(column)
    return chosen


def _unknown(name: str, known: dict[str, Column]) -> str:
    shown = name[:100]
    nearest = get_close_matches(plain_name(name), known, n=1)
    if nearest:
        return f"There is no column {shown}: is it {known[nearest[0]].header}?"
    headers = ", ".join(dict.fromkeys(column.header for column in known.values()))
    return f"There is no column {shown}: the columns are {headers}."
