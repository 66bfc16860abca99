"""The header of a file → the field that each column holds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from ingest_api.file_faults import FileFault
from ingest_api.file_format import DELIMITERS
from schemas.attributes import plain_name
from schemas.user_rules import ADDED_COLUMNS, FIELDS, KEY_FIELD

if TYPE_CHECKING:
    from collections.abc import Sequence

    from schemas.user_rules import Field

_SHOWN_CHARACTERS: Final = 100


_FIELD_BY_PLAIN_NAME: Final = {
    plain_name(name): field for field in FIELDS for name in (field.header, field.json_name)
}
_IGNORED: Final = frozenset(map(plain_name, ADDED_COLUMNS))


@dataclass(frozen=True, slots=True)
class Header:
    """The first record of a file.

    ``names`` are its columns as uploaded, trimmed; ``fields`` is what each of
    them holds, None for a column that is ignored.
    """

    names: tuple[str, ...]
    fields: tuple[Field | None, ...]
    delimiter: str
    raw: str
    line: int

    @property
    def names_of_fields(self) -> dict[Field, str]:
        """What the file calls the fields that it has."""
        return {field: name for name, field in zip(self.names, self.fields, strict=True) if field}


def read_header(raw: str, *, line: int, delimiter: str, reconciliation_key: str) -> Header:
    """The header that a well-formed record is.

    Raises:
        FileFault: a column is unknown or repeated, or the key's is missing.
    """
    names = tuple(name.strip() for name in cells_of(raw, delimiter))
    try:
        fields = _fields_of(names, KEY_FIELD[reconciliation_key], line)
    except FileFault as fault:
        _name_a_better_delimiter(fault, raw, delimiter, KEY_FIELD[reconciliation_key])
        raise
    return Header(names, fields, delimiter, raw, line)


def _fields_of(names: Sequence[str], key: Field, line: int) -> tuple[Field | None, ...]:
    _check_names(names, line)
    fields = tuple(_FIELD_BY_PLAIN_NAME.get(plain_name(name)) for name in names)
    if key not in fields:
        raise FileFault(
            "KEY_COLUMN_MISSING",
            f"There is no column {key.header}, which tells users apart: add it.",
            line=line,
            column=key.header,
        )
    return fields


def _check_names(names: Sequence[str], line: int) -> None:
    seen = set[object]()
    for number, name in enumerate(names, start=1):
        plain = plain_name(name)
        shown = name[:_SHOWN_CHARACTERS]
        if not plain:
            raise FileFault("UNKNOWN_COLUMN", f"Column {number} has no name.", line=line, column="")
        # Custom attributes will be looked up here, beside the fields.
        meaning = _FIELD_BY_PLAIN_NAME.get(plain, plain)
        if isinstance(meaning, str) and meaning not in _IGNORED:
            raise FileFault(
                "UNKNOWN_COLUMN",
                f'The column "{shown}" is unknown: correct its name or take it out.',
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


def _name_a_better_delimiter(fault: FileFault, raw: str, delimiter: str, key: Field) -> None:
    """Add to the message which delimiter all columns would be known with, if one would."""
    for name, other in DELIMITERS.items():
        plain_names = [plain_name(part.strip().strip('"')) for part in raw.split(other)]
        fields = [_FIELD_BY_PLAIN_NAME.get(plain) for plain in plain_names]
        if other != delimiter and key in fields and None not in fields:
            fault.message += f" The header fits the delimiter {name}: send it as DELIMITER."


def cells_of(raw: str, delimiter: str) -> list[str]:
    """The cells of a well-formed record, unquoted."""
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
