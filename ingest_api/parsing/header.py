"""Reads the header of a file: the field that each column holds."""

from __future__ import annotations

import contextlib
import csv
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from ingest_api.parsing.errors import FileFault
from ingest_api.parsing.file_format import DELIMITERS
from ingest_api.parsing.new_attributes import attributes_of
from ingest_api.parsing.suggestions import (
    USUAL_NAMES,
    seems_opt_out,
    suggested_fields,
    usual_fields,
)
from schemas.events import AttributeColumn, ColumnMapping
from schemas.rules.attributes import is_attribute, plain_name
from schemas.rules.characters import HIDDEN, SPACES
from schemas.rules.fields import ADDED_COLUMNS, FIELDS, OPPOSITES
from schemas.rules.nearest import nearest, question

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from ingest_api.parsing.file_format import FileFormat
    from schemas.rules.fields import Field
    from schemas.rules.value_rules import ValueRules

    _Known = Mapping[str, Field | None]
    """By plain name the field that a column holds, None where it is to be ignored."""

_LEFT_OUT_OPT_OUT: Final = (
    'The column "{column}" seems to say who has opted out, and is left out: to have them left in'
    " peace, say of which subscription it is the opposite: columns={column}=!Email Subscription."
)
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
_OPPOSITE_BY_PLAIN_NAME: Final = {
    plain_name(name): field for field in OPPOSITES for name in (field.header, field.json_name)
}
"""What only ``columns`` and usual names of other programs say of a column."""
ADDED_NAMES: Final = frozenset(map(plain_name, ADDED_COLUMNS))
"""Plain names of the columns that an error file has besides, which an upload ignores."""


@dataclass(frozen=True, slots=True)
class Header:
    """The first record of a file, with the field of each column.

    ``names`` are its columns as uploaded, trimmed; ``fields`` is what each of
    them holds, None for a column that is ignored; ``key`` is the reconciliation key.
    ``is_neutralised`` says that the file is one of errors, in which an apostrophe
    was put before what a spreadsheet would run as a formula.
    ``rules`` are those by which the values below it are read.
    ``added`` counts the columns that an error file has beside those of its first file.
    ``columns`` is what was said of columns, with what their usual names say and which attributes
    of other names they hold; ``new_attributes`` are those of them that aren't defined.
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
    columns: tuple[ColumnMapping, ...] = ()
    new_attributes: tuple[AttributeColumn, ...] = ()

    @property
    def names_of_fields(self) -> dict[Field, str]:
        """The name in this file of each field that it has."""
        return {field: name for name, field in zip(self.names, self.fields, strict=True) if field}

    @property
    def notes_of_opt_outs(self) -> list[str]:
        """Notes of columns that seem to say who has opted out, and of which nothing is said."""
        said = {plain_header(each.header) for each in self.columns}
        pairs = zip(self.names, self.fields, strict=True)
        return notes_of_left_out(
            name for name, field in pairs if not field and plain_header(name) not in said
        )

    @property
    def nameless_columns(self) -> list[int]:
        """The columns without a name, which may hold no value."""
        return [column for column, name in enumerate(self.names) if not plain_header(name)]


def header_and_fault(
    raw: str, *, line: int, delimiter: str, file_format: FileFormat
) -> tuple[Header, FileFault | None]:
    """Read a well-formed record as the header, as far as it can be.

    The fault says which columns are unknown or repeated, and which the file lacks.
    """
    names = tuple(name.strip() for name in cells_of(raw, delimiter))
    known, found = _known_and_found(names, file_format)
    fields = tuple(known.get(plain_header(name)) for name in names)
    fault = _fault_of(names, known, file_format, line)
    if fault is not None:
        _name_a_better_delimiter(fault, raw, delimiter, file_format)
        fault.message += _what_it_is_instead(names, delimiter, known)
    added = sum(plain_header(name) in ADDED_NAMES for name in names)
    version = file_format.rules_version
    header = Header(
        names=names,
        fields=fields,
        key=file_format.key_field,
        is_neutralised=added > 0 and version >= _FIRST_RULES_OF_ERROR_FILES,
        delimiter=delimiter,
        raw=raw,
        line=line,
        rules=file_format.value_rules,
        added=added if version >= _FIRST_RULES_OF_MISSING_CELLS else 0,
        columns=tuple(sorted([*file_format.columns, *_mappings(found)])),
        new_attributes=tuple(
            AttributeColumn(field.json_name, "string")
            for field in dict.fromkeys(fields)
            if field and is_attribute(field) and field not in file_format.attribute_fields
        ),
    )
    return header, fault


def is_header(raw: str, delimiter: str, file_format: FileFormat) -> bool:
    """Return whether this well-formed record has the names that a header must have."""
    names = [name.strip() for name in cells_of(raw, delimiter)]
    known, _ = _known_and_found(names, file_format)
    has_key = file_format.key_field in (known.get(plain_header(name)) for name in names)
    return has_key and _fault_of(names, known, file_format, 1) is None


def _known_and_found(
    names: Sequence[str], file_format: FileFormat
) -> tuple[dict[str, Field | None], dict[str, Field]]:
    """Return what each plain name holds, and what was found out of columns by other names."""
    known = _known_columns(file_format)
    found = _labelled(names, known, file_format)
    known |= {plain_header(name): field for name, field in found.items()}
    if file_format.maps_usual_names:
        found |= usual_fields(*_unknown_and_free(names, known))
        known |= {plain_header(name): field for name, field in found.items()}
    if file_format.unknown_columns == "attribute":
        found |= attributes_of(*_unknown_and_free(names, known), known)
        known |= {plain_header(name): field for name, field in found.items()}
    return known, found


def _labelled(names: Sequence[str], known: _Known, file_format: FileFormat) -> dict[str, Field]:
    """Return the attributes whose other names these columns have."""
    labels = {
        plain_header(each.header): known.get(plain_name(each.field)) for each in file_format.labels
    }
    unknown, _ = _unknown_and_free(names, known)
    return {name: field for name in unknown if (field := labels.get(plain_header(name)))}


def _mappings(found: Mapping[str, Field]) -> Iterator[ColumnMapping]:
    """Yield what was found out of columns whose own names don't say it."""
    for name, field in found.items():
        if plain_header(name) != plain_name(field.header):
            yield ColumnMapping(name, field.header)


def _known_columns(file_format: FileFormat) -> dict[str, Field | None]:
    """Return the fields that a column may hold, by their plain names."""
    attributes = {plain_name(field.header): field for field in file_format.attribute_fields}
    by_name = attributes | _FIELD_BY_PLAIN_NAME
    meant = by_name | _OPPOSITE_BY_PLAIN_NAME
    return by_name | {
        plain_header(each.header): meant.get(plain_header(each.field))
        for each in file_format.columns
    }


def _faults_of_mapping(
    names: Sequence[str], file_format: FileFormat, line: int
) -> Iterator[FileFault]:
    """Yield what of the sender's columns is not in the file, or means no field."""
    attributes = [field.header for field in file_format.attribute_fields]
    fields = [*(field.header for field in (*FIELDS, *OPPOSITES)), *attributes]
    known = {*_FIELD_BY_PLAIN_NAME, *_OPPOSITE_BY_PLAIN_NAME, *map(plain_name, attributes)}
    plain_names = set(map(plain_header, names))
    for each in file_format.columns:
        header, field = each.header[:_SHOWN_CHARACTERS], each.field[:_SHOWN_CHARACTERS]
        if plain_header(each.header) not in plain_names:
            message = f'There is no column "{header}", which columns says to hold "{field}".'
            yield FileFault("MAPPED_COLUMN_MISSING", message, line=line, column=header)
        elif each.field and plain_header(each.field) not in known:
            message = f'The column "{header}" can\'t hold "{field}", which is no field'
            alike = [each for each in fields if each.startswith("!") == field.startswith("!")]
            message += question(nearest(field, alike)) or "."
            yield FileFault("MAPPED_FIELD_UNKNOWN", message, line=line, column=header)


def plain_header(name: str) -> str:
    """Return the name of a column as it is compared: without what nobody sees, either."""
    shown = (" " if character in SPACES else character for character in name)
    return plain_name("".join(character for character in shown if character not in HIDDEN))


def _fault_of(
    names: Sequence[str], known: _Known, file_format: FileFormat, line: int
) -> FileFault | None:
    """Return the fault of the first column that is unknown or repeated, with those of others."""
    key = file_format.key_field
    fields = {known.get(plain_header(name)) for name in names}
    is_ignored = file_format.unknown_columns == "ignore"
    suggested = {} if is_ignored else _suggested(names, known)
    faults = [*_faults_of_mapping(names, file_format, line)]
    faults += [
        fault
        for fault in _faults_of_names(names, known, suggested, line)
        if fault.code != "UNKNOWN_COLUMN" or not is_ignored
    ]
    has_key = key in fields or key in suggested.values()
    faults += [] if has_key else [_missing_key(key, line)]
    if not faults:
        return None
    lacking = [field for field in FIELDS if field.is_required and field != key]
    found = {*fields, *suggested.values()}
    faults += [_missing(field, line) for field in lacking if field not in found]
    if len(faults) > _MOST_FAULTS:
        left = len(faults) - _MOST_FAULTS
        message = f"{left} more faults of the header are not shown: mend these first."
        faults[_MOST_FAULTS:] = [FileFault("MORE_FAULTS", message, line=line)]
    faults[0].others = faults[1:]
    return faults[0]


def _suggested(names: Sequence[str], known: _Known) -> dict[str, Field]:
    unknown, free = _unknown_and_free(names, known)
    return suggested_fields([name[:_SHOWN_CHARACTERS] for name in unknown], free)


def _unknown_and_free(names: Sequence[str], known: _Known) -> tuple[list[str], list[Field]]:
    """Return the columns of which nothing is known, and the fields that no column holds."""
    held = {known.get(plain_header(name)) for name in names}
    unknown = [name for name in names if _is_unknown(plain_header(name), known)]
    fields = dict.fromkeys([*known.values(), *OPPOSITES])
    free = [field for field in fields if field and field not in held]
    return unknown, free


def _is_unknown(plain: str, known: _Known) -> bool:
    return bool(plain) and plain not in known and plain not in ADDED_NAMES


def _faults_of_names(
    names: Sequence[str], known: _Known, suggested: Mapping[str, Field], line: int
) -> Iterator[FileFault]:
    seen = set[object]()
    for name in names:
        plain = plain_header(name)
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


def notes_of_left_out(names: Iterable[str]) -> list[str]:
    """Return a note of each of these columns that seems to say who has opted out."""
    return [_LEFT_OUT_OPT_OUT.format(column=name) for name in names if seems_opt_out(name)]


def _what_it_is_instead(names: Sequence[str], delimiter: str, known: _Known) -> str:
    """Return a sentence that says what a first line is that names no columns, empty if unclear."""
    if len(names) == 1 and set(_plain_names(names[0], delimiter)) <= known.keys():
        return " The whole line stands in quotes: take them off."
    if any("@" in name for name in names):
        return " The line holds data: put one with the names of the columns above it."
    return ""


def fitting_delimiter(raw: str, file_format: FileFormat) -> str:
    """Return the delimiter with which this header has the most columns that are known.

    Else the one with the most columns; else a comma.  Names hold hyphens, so a hyphen is one only
    where there is no other.
    """
    known = _known_columns(file_format).keys() | USUAL_NAMES

    def count(delimiter: str) -> tuple[int, int]:
        names = _plain_names(raw, delimiter)
        return len(known & set(names)), len(names)

    hyphen = DELIMITERS["HYPHEN"]
    others = [each for each in DELIMITERS.values() if each != hyphen]
    best = max(others, key=count)
    has_one, (hyphen_known, _) = count(best)[1] <= 1, count(hyphen)
    return hyphen if has_one and hyphen_known > count(best)[0] else best


def delimiter_of_error_file(raw: str) -> str | None:
    """Return the delimiter of this header if it is one of an error file, which nobody may name."""
    if not all(name in raw for name in ADDED_COLUMNS):
        return None
    found = (other for other in DELIMITERS.values() if {*_plain_names(raw, other)} >= ADDED_NAMES)
    return next(found, None)


def _plain_names(raw: str, delimiter: str) -> list[str]:
    """Return the names of the columns, as they are compared, with any delimiter."""
    cells: list[str] = []
    # Where a quoted line break is none with this delimiter, there is no such header.
    with contextlib.suppress(csv.Error):
        cells = next(csv.reader([raw], delimiter=delimiter), cells)
    return [plain_header(cell) for cell in cells]


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
