"""Validates a block of records in columns: which are refused, and why.

The rules and their codes are those of :mod:`schemas.rules.fields`.
A line is refused for the first of these: its number of fields; a value that
breaks its rule, in the order of the file's columns; no key; then, unless an
upsert may find the rest in the user that it changes, a required field that is
missing, and a state that is missing with the USA.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from ingest_api.parsing.columns import (
    read_cells,
    repeated,
    text_column,
    trimmed,
    without_apostrophes,
)
from ingest_api.parsing.records import FileRecords
from ingest_api.validation import field_rules
from schemas.rules import fields
from schemas.rules.fields import FIELD_BY_NAME, FIELDS, MAX_KEY_BYTES

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy.typing as npt

    from ingest_api.parsing.block import Block
    from ingest_api.parsing.columns import Mask, Positions, TextColumn
    from ingest_api.parsing.decode import Readable
    from ingest_api.parsing.file_format import FileFormat, Limits
    from ingest_api.parsing.header import Header
    from schemas.events import JobMode
    from schemas.rules.fields import Field, Rule

    Verdicts = npt.NDArray[np.int16]

NO_FAULT = -1


@dataclass(frozen=True, slots=True)
class LineFault:
    """Why lines are refused: the rule, the column's name in this file, and its cells if any."""

    rule: Rule
    column: str
    reason: str
    cells: TextColumn | None


@dataclass(frozen=True, slots=True)
class ValidatedBlock:
    """The validated records of a block, those that have as many fields as the header.

    ``rows`` are their indexes in the block, all else is in the same order.
    ``cells`` holds the trimmed cells of each field that the file has, by the field's name,
    ``values`` those converted: a TextColumn of phone numbers or numbers in canonical form,
    days since 1970-01-01, an array of booleans.
    A verdict is the index in ``faults`` of what a line is refused for, or :data:`NO_FAULT`:
    ``value_verdicts`` by the rules of values, ``line_verdicts`` also by what a new user needs.
    """

    rows: Positions
    cells: dict[str, TextColumn]
    values: dict[str, Any]
    key: TextColumn
    faults: list[LineFault]
    value_verdicts: Verdicts
    line_verdicts: Verdicts

    def verdicts(self, mode: JobMode) -> Verdicts:
        """Return the verdicts that count in this mode."""
        return self.value_verdicts if mode == "upsert" else self.line_verdicts


@dataclass(slots=True)
class Survey:
    """The counts of a file: ``lines`` of data, and how many of them each mode rejects."""

    header: Header
    charset: str
    lines: int = 0
    rejected: dict[JobMode, int] = field(
        default_factory=lambda: {"insert": 0, "upsert": 0, "delsert": 0}
    )


def survey(readable: Readable, file_format: FileFormat, limits: Limits | None = None) -> Survey:
    """Count the lines of a whole file by validating it as its publication will; keep nothing.

    Raises:
        FileFault: the file as a whole is refused.
    """
    records = FileRecords(readable, file_format, limits)
    found: Survey | None = None
    for block in records.blocks():
        found = found or Survey(records.header, records.charset)
        validated = validate(block, records.header)
        found.lines += len(block)
        for mode in found.rejected:
            taken = np.count_nonzero(validated.verdicts(mode) == NO_FAULT)
            found.rejected[mode] += len(block) - int(taken)
    if found is None:
        raise RuntimeError("a file without a block is a fault of the file")
    return found


def validate(block: Block, header: Header) -> ValidatedBlock:
    """Validate the records of a block by every rule."""
    is_whole = block.field_counts == len(header.names)
    rows = np.flatnonzero(is_whole)
    arrays = (
        read_cells(block, is_whole, len(header.names))
        if len(rows)
        else [pa.array([], pa.string()) for _ in header.names]
    )
    if header.is_neutralised:
        arrays = [without_apostrophes(array) for array in arrays]
    columns = {
        a_field: trimmed(array)
        for array, a_field in zip(arrays, header.fields, strict=True)
        if a_field is not None
    }
    validated = validate_columns(columns, header.names_of_fields, header.key)
    return replace(validated, rows=rows)


def validate_columns(
    columns: Mapping[Field, TextColumn], names: Mapping[Field, str], key_field: Field
) -> ValidatedBlock:
    """Validate any number of users, given by columns, by every rule; their rows count from 0.

    Every validation of what somebody has sent goes this way: a block of a file, and
    a single user from JSON as columns of one value each (for each field given,
    ``trimmed(pa.array([text], pa.string()))``, blank where it is null).
    ``columns`` are trimmed and all of one length, one of them at least; their
    order is that in which faults are looked for.
    Custom attributes are columns like others, see :func:`schemas.rules.attributes.attribute_field`.
    ``names`` is what the sender calls fields, for reasons and ``LineFault.column``;
    a field that is not in it is called by its usual header.
    Without a column for ``key_field`` every row lacks its key.
    No value holds a NUL character: files that hold one are refused before, so
    whoever comes with other values looks for it.
    """
    validation = _Validation(names, key_field, len(next(iter(columns.values())).starts))
    for a_field, cells in columns.items():
        validation.validate_values(a_field, cells)
    validation.require_key()
    value_verdicts = validation.verdicts.copy()
    validation.require_fields()
    return ValidatedBlock(
        rows=np.arange(len(value_verdicts)),
        cells=validation.cells,
        values=validation.values,
        key=validation.normalised_key(),
        faults=validation.faults,
        value_verdicts=value_verdicts,
        line_verdicts=validation.verdicts,
    )


class _Validation:
    """The verdicts under construction; the first fault noted of a line stays."""

    def __init__(self, names: Mapping[Field, str], key_field: Field, rows: int) -> None:
        self.cells: dict[str, TextColumn] = {}
        self.values: dict[str, Any] = {}
        self.faults: list[LineFault] = []
        self.verdicts = np.full(rows, NO_FAULT, np.int16)
        self._names = names
        self._key_field = key_field

    def normalised_key(self) -> TextColumn:
        """Return the reconciliation key of each line, in the form in which keys are compared."""
        if self._key_field.name not in self.cells:
            return text_column(repeated("", len(self.verdicts)))
        if self._key_field.kind == "email":
            return field_rules.lower_cased(self.cells[self._key_field.name])
        return self.values.get(self._key_field.name, self.cells[self._key_field.name])

    def validate_values(self, a_field: Field, cells: TextColumn) -> None:
        """Validate the values of a column by the rule of its kind."""
        self.cells[a_field.name] = cells
        if a_field == self._key_field:
            self._note(cells.lengths > MAX_KEY_BYTES, fields.KEY_TOO_LONG, a_field)
        is_long = field_rules.is_too_long(cells, a_field.max_characters)
        self._note(is_long, fields.TOO_LONG, a_field)
        match a_field.kind:
            case "email":
                self._note(field_rules.is_bad_email(cells), fields.EMAIL_INVALID, a_field)
            case "mobile":
                self.values[a_field.name], is_bad = field_rules.to_e164(cells)
                self._note(is_bad, fields.MOBILE_INVALID, a_field)
            case "date":
                self.values[a_field.name], is_bad = field_rules.to_days(cells)
                self._note(is_bad, fields.DATE_INVALID, a_field)
            case "boolean":
                self.values[a_field.name], is_bad = field_rules.to_booleans(cells)
                self._note(is_bad, fields.BOOLEAN_INVALID, a_field)
            case "number":
                numbers = field_rules.to_numbers(cells)
                self.values[a_field.name] = numbers.column
                self._note(numbers.is_bad, fields.NUMBER_INVALID, a_field)
                self._note(numbers.is_too_large, fields.NUMBER_TOO_LARGE, a_field)
            case "text":
                pass

    def require_key(self) -> None:
        """Refuse lines without a key."""
        self._note(self._is_blank(self._key_field), fields.KEY_MISSING, self._key_field)

    def require_fields(self) -> None:
        """Refuse lines that lack what a new user needs."""
        for a_field in FIELDS:
            if a_field.is_required:
                self._note(self._is_blank(a_field), fields.REQUIRED, a_field)
        state = FIELD_BY_NAME["state"]
        is_stateless = self._is_blank(state)
        if is_stateless.any() and "country" in self.cells:
            is_stateless &= field_rules.is_usa(self.cells["country"])
            self._note(is_stateless, fields.STATE_REQUIRED, state)

    def _is_blank(self, a_field: Field) -> Mask:
        cells = self.cells.get(a_field.name)
        return np.ones(len(self.verdicts), np.bool_) if cells is None else cells.lengths == 0

    def _note(self, is_bad: Mask, rule: Rule, a_field: Field) -> None:
        if is_bad.any():
            name = self._names.get(a_field, a_field.header)
            reason = rule.reason.format(column=name, limit=a_field.max_characters)
            self.verdicts[is_bad & (self.verdicts == NO_FAULT)] = len(self.faults)
            self.faults.append(LineFault(rule, name, reason, self.cells.get(a_field.name)))
