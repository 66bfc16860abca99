"""A block of records → which are refused, and why, in columns.

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

from ingest_api.parsing.columns import read_cells, repeated, texts, trimmed, without_apostrophes
from ingest_api.parsing.records import FileRecords
from ingest_api.validation import field_rules
from schemas.rules import fields
from schemas.rules.fields import FIELD_BY_NAME, FIELDS, MAX_KEY_BYTES

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy.typing as npt

    from ingest_api.parsing.columns import Mask, Positions, Texts
    from ingest_api.parsing.decode import Readable
    from ingest_api.parsing.file_format import FileFormat, Limits
    from ingest_api.parsing.header import Header
    from ingest_api.parsing.records import Block
    from schemas.events import JobMode
    from schemas.rules.fields import Field, Rule

    Verdicts = npt.NDArray[np.int16]

NO_FAULT = -1


@dataclass(frozen=True, slots=True)
class LineFault:
    """Why lines are refused: a rule, the column's name in this file, its cells if it has any."""

    rule: Rule
    column: str
    reason: str
    cells: Texts | None


@dataclass(frozen=True, slots=True)
class Judged:
    """The records of a block that have as many fields as the header, judged.

    ``rows`` are their places in the block, all else is in the same order.
    ``cells`` holds the trimmed cells of each field that the file has, by the field's name,
    ``values`` what those mean that are not text: Texts of a phone number or a number
    in canonical form, days since 1970-01-01, an array of booleans.
    ``value_verdicts`` are indexes of ``faults``, or :data:`NO_FAULT`;
    ``line_verdicts`` the same with what a new user's line must hold besides.
    """

    rows: Positions
    cells: dict[str, Texts]
    values: dict[str, Any]
    key: Texts
    faults: list[LineFault]
    value_verdicts: Verdicts
    line_verdicts: Verdicts

    def verdicts(self, mode: JobMode) -> Verdicts:
        """Those that count in this mode."""
        return self.value_verdicts if mode == "upsert" else self.line_verdicts


@dataclass(slots=True)
class Survey:
    """What a file holds, counted: ``lines`` of data, and how many each mode refuses."""

    header: Header
    charset: str
    lines: int = 0
    rejected: dict[JobMode, int] = field(
        default_factory=lambda: {"insert": 0, "upsert": 0, "delsert": 0}
    )


def survey(readable: Readable, file_format: FileFormat, limits: Limits | None = None) -> Survey:
    """The counts of a whole file; the same pass as for publishing, with nothing kept.

    Raises:
        FileFault: the file as a whole is refused.
    """
    records = FileRecords(readable, file_format, limits)
    found: Survey | None = None
    for block in records.blocks():
        found = found or Survey(records.header, records.charset)
        judged = judge(block, records.header)
        found.lines += len(block)
        for mode in found.rejected:
            taken = np.count_nonzero(judged.verdicts(mode) == NO_FAULT)
            found.rejected[mode] += len(block) - int(taken)
    if found is None:
        raise RuntimeError("a file without a block is a fault of the file")
    return found


def judge(block: Block, header: Header) -> Judged:
    """The records of a block, judged by every rule."""
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
    judged = judge_columns(columns, header.names_of_fields, header.key)
    return replace(judged, rows=rows)


def judge_columns(
    columns: Mapping[Field, Texts], names: Mapping[Field, str], key_field: Field
) -> Judged:
    """Any number of users, given by columns, judged by every rule; their rows count from 0.

    Every judgement of what somebody has sent goes this way: a block of a file, and
    a single user from JSON as columns of one value each (for each field given,
    ``cells.trimmed(pa.array([text], pa.string()))``, blank where it is null).
    ``columns`` are trimmed and all of one length, one of them at least; their
    order is that in which faults are looked for.
    Custom attributes are columns like others, see :func:`schemas.rules.attributes.attribute_field`.
    ``names`` is what the sender calls fields, for reasons and ``LineFault.column``;
    a field that is not in it is called by its usual header.
    Without a column for ``key_field`` every row lacks its key.
    No value holds a NUL character: files that hold one are refused before, so
    whoever comes with other values looks for it.
    """
    judgement = _Judgement(names, key_field, len(next(iter(columns.values())).starts))
    for a_field, cells in columns.items():
        judgement.judge_values(a_field, cells)
    judgement.judge_key()
    value_verdicts = judgement.verdicts.copy()
    judgement.judge_completeness()
    return Judged(
        rows=np.arange(len(value_verdicts)),
        cells=judgement.cells,
        values=judgement.values,
        key=judgement.normalised_key(),
        faults=judgement.faults,
        value_verdicts=value_verdicts,
        line_verdicts=judgement.verdicts,
    )


class _Judgement:
    """Verdicts being made; of the faults of a line the first one noted stays."""

    def __init__(self, names: Mapping[Field, str], key_field: Field, rows: int) -> None:
        self.cells: dict[str, Texts] = {}
        self.values: dict[str, Any] = {}
        self.faults: list[LineFault] = []
        self.verdicts = np.full(rows, NO_FAULT, np.int16)
        self._names = names
        self._key_field = key_field

    def normalised_key(self) -> Texts:
        """The reconciliation key of each line, in the form in which keys are compared."""
        if self._key_field.name not in self.cells:
            return texts(repeated("", len(self.verdicts)))
        if self._key_field.kind == "email":
            return field_rules.lower_cased(self.cells[self._key_field.name])
        return self.values.get(self._key_field.name, self.cells[self._key_field.name])

    def judge_values(self, a_field: Field, cells: Texts) -> None:
        """Judge a column by what its values must look like."""
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

    def judge_key(self) -> None:
        """Refuse lines without a key."""
        self._note(self._is_blank(self._key_field), fields.KEY_MISSING, self._key_field)

    def judge_completeness(self) -> None:
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
