"""Reads the header of a file: the field that each column holds."""

from __future__ import annotations

import contextlib
import csv
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from ingest_api.parsing.errors import FileFault
from ingest_api.parsing.file_format import DELIMITERS
from ingest_api.parsing.suggestions import suggested_fields
from schemas.rules.attributes import plain_name
from schemas.rules.characters import HIDDEN, SPACES
from schemas.rules.fields import ADDED_COLUMNS, FIELDS
from schemas.rules.nearest import nearest, question

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from ingest_api.parsing.file_format import FileFormat
    from schemas.rules.fields import Field
    from schemas.rules.value_rules import ValueRules

    _Known = Mapping[str, Field | None]
    """By plain name the field that a column holds, None where it is to be ignored."""

_SHOWN_CHARACTERS: Final = 100
_MOST_FAULTS: Final = 100
"""Of a header that are told in one answer."""
_FIRST_RULES_OF_ERROR_FILES: Final = 2
"""Jobs that were accepted under earlier rules take a cell of an error file as it stands."""
_FIRST_RULES_OF_MISSING_CELLS: Final = 3
"""Under earlier rules a missing cell of an error file is blank, and its columns are counted."""

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
    ``added`` counts the columns that an error file has beside those of its first file.
    """

    names: tuple[str, ...]
    fields: tuple[Field | None, ...]
    key: Field
    is_neutralised: bool
    delimiter: str
    raw: str
    line: int
    rules: ValueRules
    added: int = 0

    @property
    def names_of_fields(self) -> dict[Field, str]:
        """The name in this file of each field that it has."""
        return {field: name for name, field in zip(self.names, self.fields, strict=True) if field}

    @property
    def nameless_columns(self) -> list[int]:
        """The columns without a name, which may hold no value."""
        return [column for column, name in enumerate(self.names) if not _plain(name)]


def read_header(raw: str, *, line: int, delimiter: str, file_format: FileFormat) -> Header:
    """Read a well-formed record as the header.

    Raises:
        FileFault: a column is unknown or repeated, or the key's is missing.
    """
    key = file_format.key_field
    names = tuple(name.strip() for name in cells_of(raw, delimiter))
    try:
        fields = _fields_of(names, file_format, line)
    except FileFault as fault:
        _name_a_better_delimiter(fault, raw, delimiter, file_format)
        raise
    added, version = sum(_plain(name) in _IGNORED for name in names), file_format.rules_version
    return Header(
        names=names,
        fields=fields,
        key=key,
        is_neutralised=added > 0 and version >= _FIRST_RULES_OF_ERROR_FILES,
        delimiter=delimiter,
        raw=raw,
        line=line,
        rules=file_format.value_rules,
        added=added if version >= _FIRST_RULES_OF_MISSING_CELLS else 0,
    )


def _known_columns(file_format: FileFormat) -> _Known:
    """Return the fields that a column may hold, by their plain names."""
    attributes = {plain_name(field.header): field for field in file_format.attribute_fields}
    by_name = attributes | _FIELD_BY_PLAIN_NAME
    mapped = {_plain(each.header): by_name.get(_plain(each.field)) for each in file_format.columns}
    return by_name | mapped


def _faults_of_mapping(
    names: Sequence[str], file_format: FileFormat, line: int
) -> Iterator[FileFault]:
    """Yield what of the sender's columns is not in the file, or means no field."""
    attributes = [field.header for field in file_format.attribute_fields]
    fields = [*(field.header for field in FIELDS), *attributes]
    known = {*_FIELD_BY_PLAIN_NAME, *map(plain_name, attributes)}
    plain_names = set(map(_plain, names))
    for each in file_format.columns:
        header, field = each.header[:_SHOWN_CHARACTERS], each.field[:_SHOWN_CHARACTERS]
        if _plain(each.header) not in plain_names:
            message = f'There is no column "{header}", which columns says to hold "{field}".'
            yield FileFault("MAPPED_COLUMN_MISSING", message, line=line, column=header)
        elif each.field and _plain(each.field) not in known:
            message = f'The column "{header}" can\'t hold "{field}", which is no field'
            message += question(nearest(field, fields)) or "."
            yield FileFault("MAPPED_FIELD_UNKNOWN", message, line=line, column=header)


def _plain(name: str) -> str:
    """Return the name as it is compared: without what nobody sees, either."""
    shown = (" " if character in SPACES else character for character in name)
    return plain_name("".join(character for character in shown if character not in HIDDEN))


def _fields_of(
    names: Sequence[str], file_format: FileFormat, line: int
) -> tuple[Field | None, ...]:
    """Return the field of each column.

    Raises:
        FileFault: of the first column that is unknown or repeated, with those of all others.
    """
    known, key = _known_columns(file_format), file_format.key_field
    fields = tuple(known.get(_plain(name)) for name in names)
    suggested = _suggested(names, fields, known)
    faults = [*_faults_of_mapping(names, file_format, line)]
    faults += [
        fault
        for fault in _faults_of_names(names, known, suggested, line)
        if fault.code != "UNKNOWN_COLUMN" or file_format.unknown_columns != "ignore"
    ]
    if file_format.unknown_columns == "ignore":
        suggested = {}
    has_key = key in fields or key in suggested.values()
    faults += [] if has_key else [_missing_key(key, line)]
    if not faults:
        return fields
    lacking = [field for field in FIELDS if field.is_required and field != key]
    found = {*fields, *suggested.values()}
    faults += [_missing(field, line) for field in lacking if field not in found]
    if len(faults) > _MOST_FAULTS:
        left = len(faults) - _MOST_FAULTS
        message = f"{left} more faults of the header are not shown: mend these first."
        faults[_MOST_FAULTS:] = [FileFault("MORE_FAULTS", message, line=line)]
    faults[0].others = faults[1:]
    raise faults[0]


def _suggested(
    names: Sequence[str], fields: Sequence[Field | None], known: _Known
) -> dict[str, Field]:
    unknown = [name for name in names if _is_unknown(_plain(name), known)]
    free = [field for field in dict.fromkeys(known.values()) if field and field not in fields]
    return suggested_fields([name[:_SHOWN_CHARACTERS] for name in unknown], free)


def _is_unknown(plain: str, known: _Known) -> bool:
    return bool(plain) and plain not in known and plain not in _IGNORED


def _faults_of_names(
    names: Sequence[str], known: _Known, suggested: Mapping[str, Field], line: int
) -> Iterator[FileFault]:
    seen = set[object]()
    for name in names:
        plain = _plain(name)
        shown = name[:_SHOWN_CHARACTERS]
        if not plain:
            continue  # a fault as soon as a line has a value there
        meaning = known.get(plain, plain)
        if _is_unknown(plain, known):
            meant = _meant(shown, suggested[shown]) if shown in suggested else ""
            message = f'The column "{shown}" is unknown: correct its name, take it out,'
            message += f" or have it defined as a custom attribute.{meant}"
            yield FileFault("UNKNOWN_COLUMN", message, line=line, column=shown)
        elif meaning is not None and meaning in seen:
            message = f'The column "{shown}" comes twice: take one out.'
            yield FileFault("REPEATED_COLUMN", message, line=line, column=shown)
        seen.add(meaning)


def _meant(shown: str, field: Field) -> str:
    return f" Is it {field.header}? Then rename it, or send columns={shown}={field.header}."


def _missing_key(key: Field, line: int) -> FileFault:
    message = f"There is no column {key.header}, which tells users apart: add it."
    return FileFault("KEY_COLUMN_MISSING", message, line=line, column=key.header)


def _missing(field: Field, line: int) -> FileFault:
    message = f"There is no column {field.header}, which every new user needs: add it."
    return FileFault("REQUIRED_COLUMN_MISSING", message, line=line, column=field.header)


def nameless_column(header: Header, column: int, line: int) -> FileFault:
    """Return the fault of a value, in this line, in a column without a name."""
    message = f"Column {column + 1} has no name, and line {line} has a value in it: name it,"
    message += " or take it out."
    return FileFault("UNKNOWN_COLUMN", message, line=header.line, column="")


def _name_a_better_delimiter(
    fault: FileFault, raw: str, delimiter: str, file_format: FileFormat
) -> None:
    """Add to the message the delimiter with which all columns would be known, if there is one."""
    known = _known_columns(file_format)
    for name, other in DELIMITERS.items():
        plain_names = [plain for plain in _plain_names(raw, other) if plain]
        fields = [known.get(plain) for plain in plain_names]
        is_better = file_format.key_field in fields and known.keys() >= set(plain_names)
        if other != delimiter and is_better:
            fault.message += f" The header fits the delimiter {name}: send it as DELIMITER."


def fitting_delimiter(raw: str, file_format: FileFormat) -> str:
    """Return the delimiter with which this header has the most known columns; else a comma."""
    known = _known_columns(file_format)

    def count(delimiter: str) -> int:
        return len(known.keys() & set(_plain_names(raw, delimiter)))

    return max(DELIMITERS.values(), key=count)


def delimiter_of_error_file(raw: str) -> str | None:
    """Return the delimiter of this header if it is one of an error file, which nobody may name."""
    if not all(name in raw for name in ADDED_COLUMNS):
        return None
    found = (other for other in DELIMITERS.values() if {*_plain_names(raw, other)} >= _IGNORED)
    return next(found, None)


def _plain_names(raw: str, delimiter: str) -> list[str]:
    """Return the names of the columns, as they are compared, with any delimiter."""
    cells: list[str] = []
    # Where a quoted line break is none with this delimiter, there is no such header.
    with contextlib.suppress(csv.Error):
        cells = next(csv.reader([raw], delimiter=delimiter), cells)
    return [_plain(cell) for cell in cells]


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
