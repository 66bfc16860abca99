"""Makes Arrow batches of user rows and rejections of a validated block, as the codec takes them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import chain
from operator import itemgetter
from typing import TYPE_CHECKING, Any, Final, cast

import msgspec
import numpy as np
import pyarrow as pa

from ingest_api.parsing.columns import buffer_of, nullable, raw_records, repeated, take, with_nulls
from ingest_api.validation.dates import iso_dates
from ingest_api.validation.validate import NO_FAULT, validate
from schemas.codec import columnar
from schemas.rules import fields as user_rules
from schemas.rules.attributes import is_attribute
from schemas.rules.fields import FIELD_BY_NAME, FIELDS
from schemas.rules.modes import MODES
from schemas.rules.rejections import Fault, faults_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    import numpy.typing as npt

    from ingest_api.parsing.block import Block
    from ingest_api.parsing.columns import TextColumn
    from ingest_api.parsing.header import Header
    from ingest_api.validation.faults import LineFault
    from ingest_api.validation.validate import ValidatedBlock
    from schemas.events import JobAccepted
    from schemas.rules.fields import Field

    _Refused = tuple[int, list[Fault]]
    Bits = npt.NDArray[np.int32]

MAX_RAW_BYTES: Final = 64 * 1024
"""Of a line as it is kept beside its outcome: a record must fit in a message of Kafka."""
MAX_VALUE_CHARACTERS: Final = 1024
MAX_FURTHER_FAULTS: Final = 50
_MAX_FURTHER: Final = 255
"""Characters of a value among the further faults: all must fit in a message with the line."""
_ELLIPSIS: Final = "…"
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_TEXT_FIELDS: Final = ("first_name", "last_name", "email", "country", "state")
_DATE_FIELD: Final = "last_active_date"
_SUBSCRIPTIONS: Final = tuple(field.name for field in FIELDS if field.kind == "boolean")
_EVERY_LINE_SETS: Final = sum(field.bit for field in FIELDS if field.kind != "boolean")
_CLEARABLE: Final = tuple(f for f in FIELDS if not f.is_required and f.kind != "boolean")
_COLUMN_TYPES: Final[dict[str, Any]] = dict(
    zip(columnar.ROW_SCHEMA.names, cast("list[Any]", columnar.ROW_SCHEMA.types), strict=True)
)

_NO_ENTRIES: Final = cast("Any", pa.array([], _COLUMN_TYPES["attributes"].field(0).type))
_NO_REJECTIONS: Final = pa.RecordBatch.from_pylist([], schema=columnar.REJECTION_SCHEMA)


@dataclass(frozen=True, slots=True)
class RowsAndRejections:
    """The lines of a block: each is a valid row or a rejection, both in the order of lines.

    ``rows`` has the columns of :data:`columnar.ROW_SCHEMA`, ``rejections`` those of
    :data:`columnar.REJECTION_SCHEMA`; ``sequence`` is still zero in both.
    ``dates`` are the cells of the columns of dates, as they were read.
    """

    rows: pa.RecordBatch
    rejections: pa.RecordBatch
    dates: tuple[TextColumn, ...] = ()


def rows_and_rejections(block: Block, header: Header, accepted: JobAccepted) -> RowsAndRejections:
    """Validate the block's lines by the settings of this job."""
    validated = validate(block, header)
    is_taken = validated.verdicts(accepted.mode) == NO_FAULT
    rows = _rows(block, header, validated, accepted)
    if not is_taken.all():
        rows = rows.filter(cast("Any", pa.array(is_taken)))
    is_whole = len(block) == rows.num_rows
    rejections = _NO_REJECTIONS if is_whole else _rejections(block, header, validated, accepted)
    dates = tuple(
        validated.cells[field.name] for field in header.fields if field and field.kind == "date"
    )
    return RowsAndRejections(rows, rejections, dates)


def _rows(
    block: Block, header: Header, validated: ValidatedBlock, accepted: JobAccepted
) -> pa.RecordBatch:
    """Return every validated record as a user row; refused ones too, which mean nothing."""
    count = len(validated.rows)
    columns: dict[str, Any] = {
        "job_id": pa.array(np.full(count, accepted.job_id, np.int64)),
        "record_number": pa.array((block.first_record_number + validated.rows).astype(np.int32)),
        "line": pa.array(block.lines[validated.rows].astype(np.int32)),
        "sequence": pa.array(np.zeros(count, np.int64)),
        "mode": repeated(MODES[accepted.mode].row_mode, count),
        "key": validated.key.array,
        "occurred_at": _occurred_at(accepted, count),
        "raw": _raw(block, validated, accepted),
    }
    columns |= (
        _no_values(count)
        if MODES[accepted.mode].existing == "deleted"
        else _values(header, validated, accepted)
    )
    arrays: list[Any] = [
        columns[name] if name in columns else pa.nulls(count, column_type)
        for name, column_type in _COLUMN_TYPES.items()
    ]
    return pa.RecordBatch.from_arrays(arrays, schema=columnar.ROW_SCHEMA)


def _no_values(count: int) -> dict[str, Any]:
    """Return the columns of rows that do no more than name their users."""
    none = np.zeros(count + 1, np.int32)
    return {"present": pa.array(none[:count]), "attributes": _maps(none, _NO_ENTRIES)}


def _values(header: Header, validated: ValidatedBlock, accepted: JobAccepted) -> dict[str, Any]:
    """Return the columns of the users' values, and of which of them each row sets."""
    columns: dict[str, Any] = {
        "last_active_date": _dates(validated, accepted),
        "attributes": _attributes(header, validated, accepted),
        "present": pa.array(_present(validated, accepted)),
    }
    if validated.dropped:
        columns["dropped_cells"] = _dropped_cells(validated)
    for name in _TEXT_FIELDS:
        if name in validated.cells:
            columns[name] = nullable(validated.cells[name])
    if "mobile_number" in validated.cells:
        columns["mobile_number"] = nullable(validated.values["mobile_number"])
    for name in _SUBSCRIPTIONS:
        if name in validated.cells:
            columns[name] = validated.values[name]
    return columns


def _dropped_cells(validated: ValidatedBlock) -> pa.StringArray:
    """Return what was left out of each row, null where nothing was."""
    texts: list[str | None] = [None] * len(validated.rows)
    for row, faults in _by_row(chain.from_iterable(validated.dropped.values())).items():
        texts[row] = _faults_text(faults)
    return pa.array(texts, pa.string())


def _dates(validated: ValidatedBlock, accepted: JobAccepted) -> Any:
    """Return the last active dates; the day of the upload where the file has none."""
    today = (accepted.accepted_at.astimezone(UTC).date() - _EPOCH.date()).days
    days = np.full(len(validated.rows), today, np.int32)
    if _DATE_FIELD in validated.cells:
        is_blank = validated.cells[_DATE_FIELD].lengths == 0
        days = np.where(is_blank, days, validated.values[_DATE_FIELD])
    return pa.Array.from_buffers(pa.date32(), len(days), [None, buffer_of(days)])


def _present(validated: ValidatedBlock, accepted: JobAccepted) -> Bits:
    """Return a bit set of the fields that each line sets.

    A new user's line sets all but the subscriptions it leaves open.
    One that may change a user sets what is not blank, and with ``clear`` the blank
    optional fields too, apart from cells that were left out; a subscription has no blank.
    """
    changes = MODES[accepted.mode].existing == "changed"
    always = 0 if changes else _EVERY_LINE_SETS
    bits = np.full(len(validated.rows), always, np.int32)
    for name, cells in validated.cells.items():
        field = FIELD_BY_NAME.get(name)
        if field is None:
            continue  # a custom attribute says by its entry in the map that it is set
        is_set = cells.lengths > 0
        if changes and accepted.blank_cells == "clear" and field in _CLEARABLE:
            is_set = ~validated.is_dropped(name)
        bits |= field.bit * is_set.astype(np.int32)
    return bits


def _attributes(header: Header, validated: ValidatedBlock, accepted: JobAccepted) -> Any:
    """Return a map for each row: an entry for each attribute that it sets, in column order."""
    count = len(validated.rows)
    fields = [field for field in header.fields if field and is_attribute(field)]
    if not fields:
        return _maps(np.zeros(count + 1, np.int32), _NO_ENTRIES)
    is_entry = np.empty((count, len(fields)), np.bool_)
    clears = MODES[accepted.mode].existing == "changed" and accepted.blank_cells == "clear"
    for column, field in enumerate(fields):
        is_blank = validated.cells[field.name].lengths == 0
        is_entry[:, column] = ~(validated.is_dropped(field.name) if clears else is_blank)
    offsets = np.concatenate(([0], np.cumsum(is_entry.sum(axis=1)))).astype(np.int32)
    rows, columns = np.nonzero(is_entry)
    names = take(pa.array([field.json_name for field in fields]), columns)
    values = pa.concat_arrays([_canonical_texts(validated, field) for field in fields])
    entries = [names, take(values, columns * count + rows)]
    return _maps(offsets, pa.StructArray.from_arrays(entries, fields=list(_NO_ENTRIES.type)))


def _canonical_texts(validated: ValidatedBlock, field: Field) -> pa.StringArray:
    """Return the values of a custom attribute as text, null where there is none."""
    cells = validated.cells[field.name]
    match field.kind:
        case "number":
            texts = validated.values[field.name].array
        case "boolean":
            # Null stands for a cell that is blank or no boolean.
            return validated.values[field.name].cast(pa.string())
        case "date":
            texts = iso_dates(validated.values[field.name])
        case _:
            texts = cells.array
    return with_nulls(texts, cells.lengths == 0)


def _maps(offsets: npt.NDArray[np.int32], entries: Any) -> Any:
    """Return for each row a map of the entries between its offsets."""
    return pa.Array.from_buffers(
        _COLUMN_TYPES["attributes"],
        len(offsets) - 1,
        [None, buffer_of(offsets)],
        children=[entries],
    )


def _occurred_at(accepted: JobAccepted, count: int) -> Any:
    micros = (accepted.accepted_at - _EPOCH) // timedelta(microseconds=1)
    return pa.array(np.full(count, micros, np.int64)).view(pa.timestamp("us"))


def _raw(block: Block, validated: ValidatedBlock, accepted: JobAccepted) -> Any:
    """Return the raw lines that the projection may still refuse, which shows them then."""
    is_kept = np.ones(len(validated.rows), np.bool_)
    if not MODES[accepted.mode].may_be_refused:
        is_kept = validated.line_verdicts != validated.verdicts(accepted.mode)
    if not is_kept.any():
        return pa.nulls(len(is_kept), pa.string())
    raw = raw_records(block).array
    if int((block.ends - block.starts).max()) > MAX_RAW_BYTES:
        raw = pa.array([_shortened(text) for text in cast("list[str]", raw.to_pylist())])
    if len(is_kept) < len(block):
        raw = take(raw, validated.rows)
    return with_nulls(raw, ~is_kept)


def _shortened(text: str) -> str:
    """Return the text, its end cut off where it is too long for a message."""
    if len(text) <= MAX_RAW_BYTES // 4 or len(encoded := text.encode()) <= MAX_RAW_BYTES:
        return text
    return encoded[:MAX_RAW_BYTES].decode(errors="ignore") + _ELLIPSIS


def is_shortened(raw: str) -> bool:
    """Return whether the end of a line was cut off, because it was too long for a message."""
    is_marked = raw.endswith(_ELLIPSIS)
    return is_marked and len(raw.encode()) >= MAX_RAW_BYTES


def _rejections(
    block: Block, header: Header, validated: ValidatedBlock, accepted: JobAccepted
) -> pa.RecordBatch:
    most = 1 if header.rules.are_first else MAX_FURTHER_FAULTS + 1
    refused = [*_refused_counts(block, header), *_refused_lines(validated, accepted)]
    refused.sort(key=itemgetter(0))
    return pa.RecordBatch.from_pylist(
        [
            {
                "job_id": accepted.job_id,
                "record_number": block.first_record_number + index,
                "line": int(block.lines[index]),
                "sequence": 0,
                **_as_columns(faults[:most]),
                "raw": _shortened(block.raw(index)),
            }
            for index, faults in refused
        ],
        schema=columnar.REJECTION_SCHEMA,
    )


def _as_columns(faults: list[Fault]) -> dict[str, str | None]:
    """Return the first fault as columns of its own, and the others beside it."""
    first, *further = faults
    return {
        "column": first.column,
        "code": first.code,
        "reason": first.reason,
        "value": first.value and first.value[:MAX_VALUE_CHARACTERS],
        "further_faults": _faults_text(further),
    }


def _faults_text(faults: Sequence[Fault]) -> str | None:
    """Return the faults as one text, their values shortened so that all fit in a message."""
    return faults_text(
        [
            msgspec.structs.replace(fault, value=fault.value and fault.value[:_MAX_FURTHER])
            for fault in faults
        ]
    )


def _refused_counts(block: Block, header: Header) -> Iterator[_Refused]:
    expected = len(header.names)
    for index in np.flatnonzero(block.field_counts != expected).tolist():
        found = int(block.field_counts[index])
        rule = user_rules.TOO_FEW_FIELDS if found < expected else user_rules.TOO_MANY_FIELDS
        # The columns that an error file adds are no fields of the line as it was uploaded.
        has_added = header.added and (found > expected or block.has_missing_cell(index))
        added = header.added if has_added else 0
        reason = rule.reason.format(found=found - added, expected=expected - added)
        yield index, [Fault(column=None, code=rule.code, reason=reason, value=None)]


def _refused_lines(validated: ValidatedBlock, accepted: JobAccepted) -> Iterator[_Refused]:
    """Yield each refused line with all its faults, the first being its verdict."""
    for row, faults in _by_row(validated.faults_in(accepted.mode)).items():
        yield int(validated.rows[row]), faults


def _by_row(line_faults: Iterable[LineFault]) -> dict[int, list[Fault]]:
    """Return the faults of each row that has any, in their order."""
    by_row: dict[int, list[Fault]] = {}
    for fault in line_faults:
        for row, cell in zip(fault.rows.tolist(), fault.values, strict=True):
            by_row.setdefault(row, []).append(
                Fault(column=fault.column, code=fault.rule.code, reason=fault.reason, value=cell)
            )
    return by_row
