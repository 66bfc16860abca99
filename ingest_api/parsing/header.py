"""Reads the header of a file: the field that each column holds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from ingest_api.parsing.errors import FileFault
from ingest_api.parsing.file_format import DELIMITERS
from schemas.rules.attributes import plain_name
from schemas.rules.fields import ADDED_COLUMNS, FIELDS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ingest_api.parsing.file_format import FileFormat
    from schemas.rules.fields import Field
    from schemas.rules.value_rules import ValueRules

    _Known = Mapping[str, Field]

_SHOWN_CHARACTERS: Final = 100
_FIRST_RULES_OF_ERROR_FILES: Final = 2
"""Jobs that were accepted under earlier rules take a cell of an error file as it stands."""

_FIELD_BY_PLAIN_NAME: Final = {
    plain_name(name): field for field in FIELDS for name in (field.header, field.json_name)
}
_IGNORED: Final = frozenset(map(plain_name, ADDED_COLUMNS))


@dataclass(frozen=True, slots=True)
class Header:
    """The first record of a file, with the field of each column.

    ``names`` are its columns as uploaded, trimmed; ``fields`` is what each of
    them holds, None for a column that is ignored; ``key`` is the reconciliation key.
    ``is_neutralised`` says that the file is one of errors, in which an apostrophe
    was put before what a spreadsheet would run as a formula.
    ``rules`` are those by which the values below it are read.
    """

    names: tuple[str, ...]
    fields: tuple[Field | None, ...]
    key: Field
    is_neutralised: bool
    delimiter: str
    raw: str
    line: int
    rules: ValueRules

    @property
    def names_of_fields(self) -> dict[Field, str]:
        """The name in this file of each field that it has."""
        return {field: name for name, field in zip(self.names, self.fields, strict=True) if field}


def read_header(raw: str, *, line: int, file_format: FileFormat) -> Header:
    """Read a well-formed record as the header.

    Raises:
        FileFault: a column is unknown or repeated, or the key's is missing.
    """
    delimiter, key = file_format.delimiter, file_format.key_field
    known = {plain_name(field.header): field for field in file_format.attribute_fields}
    known |= _FIELD_BY_PLAIN_NAME
    names = tuple(name.strip() for name in cells_of(raw, delimiter))
    try:
        fields = _fields_of(names, known, key, line)
    except FileFault as fault:
        _name_a_better_delimiter(fault, raw, file_format, known)
        raise
    is_neutralised = None in fields and file_format.rules_version >= _FIRST_RULES_OF_ERROR_FILES
    rules = file_format.value_rules
    return Header(names, fields, key, is_neutralised, delimiter, raw, line, rules)


def _fields_of(
    names: Sequence[str], known: _Known, key: Field, line: int
) -> tuple[Field | None, ...]:
    _check_names(names, known, line)
    fields = tuple(known.get(plain_name(name)) for name in names)
    if key not in fields:
        raise FileFault(
            "KEY_COLUMN_MISSING",
            f"There is no column {key.header}, which tells users apart: add it.",
            line=line,
            column=key.header,
        )
    return fields


def _check_names(names: Sequence[str], known: _Known, line: int) -> None:
    seen = set[object]()
    for number, name in enumerate(names, start=1):
        plain = plain_name(name)
        shown = name[:_SHOWN_CHARACTERS]
        if not plain:
            raise FileFault("UNKNOWN_COLUMN", f"Column {number} has no name.", line=line, column="")
        meaning = known.get(plain, plain)
        if isinstance(meaning, str) and meaning not in _IGNORED:
            raise FileFault(
                "UNKNOWN_COLUMN",
                f'The column "{shown}" is unknown: correct its name, take it out,'
                " or have it defined as a custom attribute.",
                line=line,
                column=shown,
            )
        if meaning in seen:
            raise FileFault(
                "REPEATED_COLUMN",
                f'The column "{shown}" comes twice: take one out.',
                line=line,
                column=shown,
            )
        seen.add(meaning)


def _name_a_better_delimiter(
    fault: FileFault, raw: str, file_format: FileFormat, known: _Known
) -> None:
    """Add to the message the delimiter with which all columns would be known, if there is one."""
    for name, other in DELIMITERS.items():
        plain_names = [plain_name(part.strip().strip('"')) for part in raw.split(other)]
        fields = [known.get(plain) for plain in plain_names]
        is_better = file_format.key_field in fields and None not in fields
        if other != file_format.delimiter and is_better:
            fault.message += f" The header fits the delimiter {name}: send it as DELIMITER."


def cells_of(raw: str, delimiter: str) -> list[str]:
    """Return the cells of a well-formed record, unquoted."""
    cells: list[str] = []
    at = 0
    while True:
        is_quoted = raw.startswith('"', at)
        end = _closing_quote(raw, at) + 1 if is_quoted else raw.find(delimiter, at)
        end = len(raw) if end < 0 else end
        cell = raw[at:end]
        cells.append(cell[1:-1].replace('""', '"') if is_quoted else cell)
        if end >= len(raw):
            return cells
        at = end + 1


def _closing_quote(raw: str, opening: int) -> int:
    at = raw.index('"', opening + 1)
    while raw.startswith('"', at + 1):
        at = raw.index('"', at + 2)
    return at
