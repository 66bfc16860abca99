"""Checks that the tables can hold a job's events, before any statement gets them.

Producer rows are checked by the rules of values (:mod:`schemas.rules.producer_rows`).
The API and the publisher check what they write.
So a job's event that the tables can't hold is damaged or somebody else's: it belongs to
no pass and takes no line's place.

The limits are PostgreSQL's (no NUL in a text, keys that an index takes) and Python's
(the years 1 to 9999), never those of a field, which a later version may widen.  Pure.
"""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING, Any, Final, cast

import numpy as np
import pyarrow as pa
import pyarrow.compute

from schemas.events import JobAccepted, RowErased, UserRow
from schemas.rules.fields import KEY_TOO_LONG, MAX_KEY_BYTES, NUL_CHARACTER, TOO_LONG
from schemas.rules.producer_rows import Violation

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy.typing as npt

    from schemas.events import ChunkRange, Event

    Flags = npt.NDArray[np.bool_]

pc: Any = pyarrow.compute
MAX_ATTRIBUTE_BYTES: Final = 65_536
"""The longest text of an attribute: more than any rule allows, less than a numeric takes."""
_DAYS: Final = (-719_162, 2_932_896)
"""The years 1 to 9999, counted from 1970."""
_MICROSECONDS: Final = (-62_135_596_800_000_000, 253_402_300_799_999_999)
"""The same."""
_NO_JOB: Final = pa.scalar(0, pa.int64())
_PLACE: Final = ("record_number", "line", "sequence")
"""Fields with the position of a job's line."""


def violation(event: Event) -> Violation | None:
    """Return why the tables can't hold the job's event, or None; other events always fit."""
    job_id: int | None = getattr(event, "job_id", None)
    if job_id is None:
        return None
    if job_id <= 0:
        return Violation("OUT_OF_RANGE", "job_id", str(job_id))
    if (name := next(_nul_fields(event), None)) is not None:
        return Violation(NUL_CHARACTER.code, name)
    return _violation_of_type(event)


def _violation_of_type(event: Event) -> Violation | None:
    match event:
        case JobAccepted(chunks=chunks) if not _is_range(chunks):
            return Violation("OUT_OF_RANGE", "chunks", str(chunks))
        case RowErased():
            missing = next((name for name in _PLACE if getattr(event, name) is None), None)
            return None if missing is None else Violation("FIELD_MISSING", missing)
        case UserRow():
            return _row_violation(event)
        case _:
            return None


def _nul_fields(event: Event) -> Iterator[str]:
    """Yield the names of the fields that hold a NUL character."""
    for field in fields(event):
        value: Any = getattr(event, field.name)
        texts: list[Any] = [*value.keys(), *value.values()] if isinstance(value, dict) else [value]
        if any(isinstance(text, str) and "\0" in text for text in texts):
            yield field.name


def _is_range(chunks: ChunkRange) -> bool:
    """Return whether these can be offsets of `uploads`."""
    is_ordered = 0 <= chunks.first_offset <= chunks.last_offset
    return is_ordered and chunks.partition >= 0 and chunks.count > 0


def _row_violation(row: UserRow) -> Violation | None:
    if len(row.key.encode()) > MAX_KEY_BYTES:
        return Violation(KEY_TOO_LONG.code, "key")
    texts = (*row.attributes.keys(), *row.attributes.values())
    if any(len((text or "").encode()) > MAX_ATTRIBUTE_BYTES for text in texts):
        return Violation(TOO_LONG.code, "attributes")
    return None


def unstorable_rows(rows: pa.RecordBatch) -> npt.NDArray[np.int64]:
    """Return the indexes of a job's rows or rejections that the tables can't hold, ascending.

    Dates and times are checked here only: a single event with one that Python can't represent
    is ``MALFORMED`` to :func:`schemas.codec.codec.decode`.
    """
    count = len(rows)
    named = cast("Any", rows.column("job_id"))
    if named.null_count == count:
        return np.empty(0, np.int64)
    is_unfit = np.asarray(pc.fill_null(pc.less_equal(named, _NO_JOB), False))  # noqa: FBT003 - what null becomes
    for name, column in zip(rows.schema.names, cast("list[Any]", rows.columns), strict=True):
        if (found := _unfit(name, column)) is not None:
            is_unfit = is_unfit | found
    return np.flatnonzero(is_unfit & np.asarray(pc.is_valid(named)))


def _unfit(name: str, column: Any) -> Flags | None:
    """Return, for each value, whether it is unfit; None where all are fit, as nearly always."""
    kind = column.type
    if column.null_count == len(column):
        return None
    if pa.types.is_map(kind):
        return _unfit_maps(column)
    if pa.types.is_string(kind):
        return _unfit_texts(column, MAX_KEY_BYTES if name == "key" else None)
    if pa.types.is_date32(kind):
        return _outside(pc.cast(column, pa.int32()), _DAYS)
    if pa.types.is_timestamp(kind):
        return _outside(pc.cast(column, pa.int64()), _MICROSECONDS)
    return None


def _unfit_maps(column: Any) -> Flags | None:
    """Return, for each map, whether one of its keys or values is unfit."""
    offsets = column.offsets.to_numpy()
    begin, pairs = int(offsets[0]), int(offsets[-1] - offsets[0])
    if not pairs:
        return None
    found = [
        flags
        for each in (column.keys.slice(begin, pairs), column.items.slice(begin, pairs))
        if (flags := _unfit_texts(each, MAX_ATTRIBUTE_BYTES)) is not None
    ]
    if not found:
        return None
    is_unfit = np.zeros(len(column), np.bool_)
    row_of = np.repeat(np.arange(len(column)), np.diff(offsets))
    for flags in found:
        is_unfit[row_of[flags]] = True
    return is_unfit


def _unfit_texts(column: Any, most_bytes: int | None) -> Flags | None:
    found: Flags | None = None
    if _holds_nul(column):
        found = _flags(pc.match_substring(column, "\0"))
    if most_bytes is not None:
        lengths = pc.binary_length(column)
        longest = pc.max(lengths).as_py()
        if longest is not None and longest > most_bytes:
            is_long = _flags(pc.greater(lengths, most_bytes))
            found = is_long if found is None else found | is_long
    return found


def _holds_nul(column: Any) -> bool:
    """Return whether any text holds a NUL, by one search in the bytes of all."""
    _, offsets, octets = column.buffers()
    if octets is None or not len(column):
        return False
    ends = np.frombuffer(offsets, np.int32)
    begin, end = int(ends[column.offset]), int(ends[column.offset + len(column)])
    return b"\0" in bytes(memoryview(octets)[begin:end])


def _outside(numbers: Any, limits: tuple[int, int]) -> Flags | None:
    least = pc.min_max(numbers)
    if least["min"].as_py() >= limits[0] and least["max"].as_py() <= limits[1]:
        return None
    return _flags(pc.or_(pc.less(numbers, limits[0]), pc.greater(numbers, limits[1])))


def _flags(column: Any) -> Flags:
    return np.asarray(pc.fill_null(column, False))  # noqa: FBT003 - what null becomes
