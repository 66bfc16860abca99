"""Validates a block of records in columns: which are refused, and why.

The rules and their codes are those of :mod:`schemas.rules.fields`.
A line is refused for the first of these: its number of fields; a value that
breaks its rule, in the order of the file's columns; no key; then, unless the mode may
find the rest in the user that it changes, a required field that is
missing, and a state that is missing with the USA.
Where the rules drop invalid values, one of an optional field is no fault of its line: it is as if
the file did not say it.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ingest_api.parsing.columns import (
    TextColumn,
    read_cells,
    repeated,
    text_column,
    trimmed,
    with_replaced,
    without_apostrophes,
)
from ingest_api.parsing.records import FileRecords
from ingest_api.validation import emails, field_rules, phones
from ingest_api.validation.dates import to_days
from ingest_api.validation.faults import LineFault
from ingest_api.validation.numbers import to_numbers
from schemas.events import JOB_MODES
from schemas.rules import fields
from schemas.rules.characters import stripped_text, stripped_value
from schemas.rules.fields import FIELD_BY_NAME, FIELDS, MAX_KEY_BYTES, OPPOSITES
from schemas.rules.modes import MODES
from schemas.rules.value_rules import ValueRules

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import numpy.typing as npt

    from ingest_api.parsing.block import Block
    from ingest_api.parsing.columns import Mask, Positions
    from ingest_api.parsing.decode import Readable
    from ingest_api.parsing.file_format import FileFormat, Limits
    from ingest_api.parsing.header import Header
    from ingest_api.validation.faults import ValueFault
    from ingest_api.validation.key_hashes import KeyHashes
    from schemas.events import JobMode
    from schemas.rules.fields import Field, Rule

    Verdicts = npt.NDArray[np.int32]

NO_FAULT = -1


@dataclass(frozen=True, slots=True)
class ValidatedBlock:
    """The validated records of a block, those that have as many fields as the header.

    ``rows`` are their indexes in the block, all else is in the same order.
    ``cells`` holds the trimmed cells of each field that the file has, by the field's name,
    ``values`` those converted: a TextColumn of phone numbers or numbers in canonical form,
    days since 1970-01-01, an array of booleans.
    ``faults`` are in the order in which they are looked for; a line may have several, a column
    of it has one at most.  ``key_faults`` are those of the key's column.
    A verdict is the index in ``faults`` of the first of a line, or :data:`NO_FAULT`:
    ``key_verdicts`` by the rules of the key alone, ``value_verdicts`` by those of all values,
    ``line_verdicts`` also by what a new user needs.
    ``dropped`` are the faults of cells that were left out, by the field's name; their ``cells`` and
    ``values`` are blank.
    """

    rows: Positions
    cells: dict[str, TextColumn]
    values: dict[str, Any]
    key: TextColumn
    faults: list[LineFault]
    key_faults: list[LineFault]
    value_faults: int
    key_verdicts: Verdicts
    value_verdicts: Verdicts
    line_verdicts: Verdicts
    dropped: dict[str, list[LineFault]]

    def is_dropped(self, name: str) -> Mask:
        """Return the rows whose cell of this field was left out."""
        is_dropped = np.zeros(len(self.rows), np.bool_)
        for fault in self.dropped.get(name, ()):
            is_dropped[fault.rows] = True
        return is_dropped

    def verdicts(self, mode: JobMode) -> Verdicts:
        """Return the verdicts that count in this mode."""
        if MODES[mode].existing == "deleted":
            return self.key_verdicts
        return self.value_verdicts if MODES[mode].may_lack_fields else self.line_verdicts

    def taken(self, mode: JobMode) -> int:
        """Return the number of records that this mode takes."""
        if not self.faults_in(mode):
            return len(self.rows)
        return int(np.count_nonzero(self.verdicts(mode) == NO_FAULT))

    def faults_in(self, mode: JobMode) -> Sequence[LineFault]:
        """Return the faults that count in this mode."""
        if MODES[mode].existing == "deleted":
            return self.key_faults
        return self.faults[: self.value_faults] if MODES[mode].may_lack_fields else self.faults


@dataclass(slots=True)
class Survey:
    """The counts of a file: ``lines`` of data, and how many of them each mode rejects.

    ``keys`` are those of the lines that their mode takes, where they were asked for.
    """

    header: Header
    charset: str
    keys: KeyHashes | None = None
    lines: int = 0
    rejected: dict[JobMode, int] = field(default_factory=lambda: dict.fromkeys(JOB_MODES, 0))


def survey(
    readable: Readable,
    file_format: FileFormat,
    limits: Limits | None = None,
    keys: KeyHashes | None = None,
) -> Survey:
    """Count the lines of a whole file by validating it as its publication will.

    Nothing of it is kept but, where they are asked for, the hashes of its keys.

    Raises:
        FileFault: the file as a whole is refused.
    """
    records = FileRecords(readable, file_format, limits)
    found: Survey | None = None
    for block in records.blocks():
        found = found or Survey(records.header, records.charset, keys)
        validated = validate(block, records.header)
        found.lines += len(block)
        for mode in found.rejected:
            found.rejected[mode] += len(block) - validated.taken(mode)
        if keys is not None:
            keys.add(validated.key.array, validated.verdicts(keys.mode) == NO_FAULT)
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
        a_field: array
        for array, a_field in zip(arrays, header.fields, strict=True)
        if a_field is not None
    }
    validated = validate_columns(columns, header.names_of_fields, header.key, header.rules)
    return replace(validated, rows=rows)


def validate_columns(
    columns: Mapping[Field, pa.StringArray],
    names: Mapping[Field, str],
    key_field: Field,
    rules: ValueRules | None = None,
) -> ValidatedBlock:
    """Validate any number of users, given by columns, by every rule; their rows count from 0.

    Every validation of what somebody has sent goes this way: a block of a file, and
    a single user from JSON as columns of one value each (for each field given,
    ``pa.array([text], pa.string())``, blank where it is null).
    ``columns`` are all of one length, one of them at least; their
    order is that in which faults are looked for.
    Custom attributes are columns like others, see :func:`schemas.rules.attributes.attribute_field`.
    ``names`` is what the sender calls fields, for reasons and ``LineFault.column``;
    a field that is not in it is called by its usual header.
    Without a column for ``key_field`` every row lacks its key.
    No value holds a NUL character: files that hold one are refused before, so
    whoever comes with other values looks for it.
    """
    count = len(next(iter(columns.values())))
    validation = _Validation(names, key_field, count, rules or ValueRules())
    for a_field, array in columns.items():
        validation.validate_values(a_field, array)
    validation.apply_opposites()
    validation.require_key()
    value_verdicts, value_faults = validation.verdicts.copy(), len(validation.faults)
    validation.require_fields()
    return ValidatedBlock(
        rows=np.arange(len(value_verdicts)),
        cells=validation.cells,
        values=validation.values,
        key=validation.normalised_key(),
        faults=validation.faults,
        key_faults=validation.key_faults,
        value_faults=value_faults,
        key_verdicts=validation.key_verdicts,
        value_verdicts=value_verdicts,
        line_verdicts=validation.verdicts,
        dropped=validation.dropped,
    )


class _Validation:
    """The verdicts under construction; the first fault noted of a line stays."""

    def __init__(
        self, names: Mapping[Field, str], key_field: Field, rows: int, rules: ValueRules
    ) -> None:
        self.cells: dict[str, TextColumn] = {}
        self.values: dict[str, Any] = {}
        self.faults: list[LineFault] = []
        self.key_faults: list[LineFault] = []
        self.dropped: dict[str, list[LineFault]] = {}
        self.verdicts = np.full(rows, NO_FAULT, np.int32)
        self.key_verdicts = self.verdicts.copy()
        self._is_faulty: dict[Field, Mask] = {}
        self._is_dropping = False
        self._names = names
        self._key_field = key_field
        self._rules = rules

    def normalised_key(self) -> TextColumn:
        """Return the reconciliation key of each line, in the form in which keys are compared."""
        if self._key_field.name not in self.cells:
            return text_column(repeated("", len(self.verdicts)))
        if self._key_field.kind == "email":
            return field_rules.lower_cased(self.cells[self._key_field.name])
        return self.values.get(self._key_field.name, self.cells[self._key_field.name])

    def validate_values(self, a_field: Field, array: pa.StringArray) -> None:
        """Validate the values of a column by the rule of its kind."""
        is_optional = not a_field.is_required and a_field != self._key_field
        self._is_dropping = self._rules.drops_invalid and is_optional
        cells = trimmed(array, self._strip(a_field))
        self.cells[a_field.name] = cells
        if a_field == self._key_field:
            self._note(cells.lengths > MAX_KEY_BYTES, fields.KEY_TOO_LONG, a_field)
        is_long = field_rules.is_too_long(cells, a_field.max_characters)
        self._note(is_long, fields.TOO_LONG, a_field)
        rules_of_kinds = {
            "email": self._validate_emails,
            "mobile": self._validate_mobiles,
            "date": self._validate_dates,
            "boolean": self._validate_booleans,
            "number": self._validate_numbers,
            "text": self._validate_texts,
        }
        rules_of_kinds[a_field.kind](a_field, cells)
        if self._is_dropping and a_field in self._is_faulty:
            self._drop(a_field, self._is_faulty.pop(a_field))
        self._is_dropping = False

    def _drop(self, a_field: Field, is_faulty: Mask) -> None:
        """Blank these rows of a column, so that it is as if they did not have it."""
        blanks = [""] * int(np.count_nonzero(is_faulty))
        for columns in (self.cells, self.values):
            column = columns.get(a_field.name)
            if isinstance(column, TextColumn):
                columns[a_field.name] = with_replaced(column, is_faulty, blanks)
            elif a_field.kind == "boolean":
                columns[a_field.name] = pc.if_else(pa.array(is_faulty), None, column)

    def _strip(self, a_field: Field) -> Callable[[str], str]:
        if self._rules.are_first:
            return str.strip
        is_free = a_field.kind == "text" and a_field != self._key_field
        return stripped_text if is_free else stripped_value

    def _validate_emails(self, a_field: Field, cells: TextColumn) -> None:
        if self._rules.are_first:
            self._note(emails.is_bad_email(cells), fields.EMAIL_INVALID, a_field)
            return
        self.cells[a_field.name], faults = emails.to_addresses(cells)
        self._note_each(faults, fields.EMAIL_INVALID, a_field)

    def _validate_mobiles(self, a_field: Field, cells: TextColumn) -> None:
        if self._rules.are_first:
            self.values[a_field.name], is_bad = phones.to_e164(cells)
            self._note(is_bad, fields.MOBILE_INVALID, a_field)
            return
        self.values[a_field.name], faults = phones.to_phone_numbers(cells, self._rules.phone_region)
        self._note_each(faults, fields.MOBILE_INVALID, a_field)

    def _validate_dates(self, a_field: Field, cells: TextColumn) -> None:
        rules = self._rules
        self.values[a_field.name], is_bad = to_days(cells, rules)
        is_first = rules.are_first
        rule = fields.FIRST_DATE_INVALID if is_first else fields.DATE_INVALID[rules.date_order]
        self._note(is_bad, rule, a_field)

    def _validate_booleans(self, a_field: Field, cells: TextColumn) -> None:
        is_opposite = a_field in OPPOSITES
        read = field_rules.to_opposites if is_opposite else field_rules.to_booleans
        self.values[a_field.name], is_bad = read(cells, self._rules)
        is_first = self._rules.are_first
        rule = fields.FIRST_BOOLEAN_INVALID if is_first else fields.BOOLEAN_INVALID
        self._note(is_bad, rule, a_field)

    def _validate_numbers(self, a_field: Field, cells: TextColumn) -> None:
        numbers = to_numbers(cells)
        self.values[a_field.name] = numbers.column
        self._note(numbers.is_bad, fields.NUMBER_INVALID, a_field)
        self._note(numbers.is_too_large, fields.NUMBER_TOO_LARGE, a_field)

    def _validate_texts(self, a_field: Field, cells: TextColumn) -> None:
        if a_field == self._key_field and not self._rules.are_first:
            faults = field_rules.hidden_faults(cells)
            self._note_each(faults, fields.HIDDEN_CHARACTER, a_field)

    def apply_opposites(self) -> None:
        """Put what says who has opted out into the subscriptions; no from either column is no."""
        for opposite, a_field in OPPOSITES.items():
            if opposite.name not in self.cells:
                continue
            cells, values = self.cells.pop(opposite.name), self.values.pop(opposite.name)
            if a_field.name in self.cells:
                cells, values = self._both(a_field, cells, values)
            self.cells[a_field.name], self.values[a_field.name] = cells, values

    def _both(self, a_field: Field, cells: TextColumn, values: Any) -> tuple[TextColumn, Any]:
        """Return the cells of either column, and a flag where one of them has one."""
        own_cells, own = self.cells[a_field.name], self.values[a_field.name]
        either = [pc.coalesce(own, values), pc.coalesce(values, own)]
        flags: Any = pc.call_function("and", either)
        is_blank = own_cells.lengths == 0
        return with_replaced(own_cells, is_blank, cells.values_where(is_blank)), flags

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
            self._add(np.flatnonzero(is_bad), rule, a_field, reason)

    def _note_each(self, faults: Sequence[ValueFault], rule: Rule, a_field: Field) -> None:
        for fault in faults:
            name = self._names.get(a_field, a_field.header)
            self._add(fault.rows, rule, a_field, f"{name} {fault.detail}")

    def _add(self, rows: Positions, rule: Rule, a_field: Field, reason: str) -> None:
        """Note a fault of these rows, apart from those whose column has one already."""
        no_row = np.zeros(len(self.verdicts), np.bool_)
        is_faulty = self._is_faulty.setdefault(a_field, no_row)
        rows = rows[~is_faulty[rows]]
        is_faulty[rows] = True
        name = self._names.get(a_field, a_field.header)
        fault = LineFault(rule, name, reason, self.cells.get(a_field.name), rows)
        if self._is_dropping:
            self.dropped.setdefault(a_field.name, []).append(fault)
            return
        self.verdicts[rows[self.verdicts[rows] == NO_FAULT]] = len(self.faults)
        if a_field == self._key_field:
            self.key_verdicts[rows] = len(self.faults)
            self.key_faults.append(fault)
        self.faults.append(fault)
