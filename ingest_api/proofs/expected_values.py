"""Compare the values that a job's rows set with those of the users, as hashes of columns.

Of a user that the row made every column is its own; of one that it changed, the
fields that it sets and the columns that every change writes.
What a row has not opted in, because of an opt-out that it met, is expected to be false.
Custom attributes are compared by their text: in events it is canonical.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, cast

import numpy as np
import pyarrow as pa
import pyarrow.compute

from schemas.read_model.column_hashes import NULL, hashes, mixed, text_hashes
from schemas.rules.fields import FIELDS
from schemas.rules.overwrite import ATTRIBUTES_BIT

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy.typing as npt

    Hashes = npt.NDArray[np.uint64]
    Flags = npt.NDArray[np.bool_]

pc: Any = pyarrow.compute
_FALSE, _TRUE = hashes(pa.array([False, True]))
_NOT_SET: Final = np.uint64(1)
_SEED: Final = np.uint64(0x9E3779B97F4A7C15)


@dataclass(frozen=True, slots=True)
class ExpectedAndFound:
    """Hashes by column: expected by the log, found in the users; 1 where the row sets nothing."""

    expected: dict[str, Hashes]
    found: dict[str, Hashes]

    def sums(self, ids: Hashes) -> tuple[int, int]:
        """Return the sums of all found and of all expected rows; independent of the order."""
        names = sorted(self.expected)
        found, expected = (
            _sum(ids, [columns[name] for name in names]) for columns in (self.found, self.expected)
        )
        return found, expected


def expected_and_found(
    events: pa.RecordBatch, users: pa.Table, is_new: Flags, fills: int
) -> ExpectedAndFound:
    """Hash each event and the user that it set last; ``is_new`` where it inserted the user.

    ``fills`` are fields that the events only fill: of a user that was there they may be its own.
    """
    stored_columns: dict[str, Any] = {
        name: users.column(name).combine_chunks() for name in users.column_names
    }
    expected = {
        "key": hashes(events.column("key")),
        "record_number": hashes(events.column("record_number")),
        "modified_at": hashes(events.column("occurred_at")),
        "created_at": np.where(is_new, hashes(events.column("occurred_at")), _NOT_SET),
    }
    found = {name: hashes(stored_columns[name]) for name in expected if name != "key"}
    is_same = stored_columns["key"].equals(events.column("key"))
    found["key"] = expected["key"] if is_same else hashes(stored_columns["key"])
    found["created_at"] = np.where(is_new, found["created_at"], _NOT_SET)
    kept = np.asarray(stored_columns["kept"])
    present = np.asarray(pc.cast(events.column("present"), pa.int64()))
    for field in FIELDS:
        values = set_by_event = hashes(events.column(field.name))
        is_set = is_new | ((present & field.bit & ~fills) != 0)
        if field.is_never_cleared:
            is_set &= is_new | (values != NULL)
        if field.kind == "boolean":
            values = np.where(values == NULL, _TRUE, values)
            values = np.where(kept & field.bit, _FALSE, values)
        expected[field.name] = np.where(is_set, values, _NOT_SET)
        is_same = stored_columns[field.name].equals(
            events.column(field.name)
        )  # mostly, and cheaply told
        stored = set_by_event if is_same else hashes(stored_columns[field.name])
        found[field.name] = np.where(is_set, stored, _NOT_SET)
    expected["attributes"], found["attributes"] = _attributes(
        events, stored_columns["attributes"], is_new, fills
    )
    return ExpectedAndFound(expected, found)


def pair_as_text(name: str, events: pa.RecordBatch, users: pa.Table, at: int) -> tuple[str, str]:
    """Return the expected and the found value of a user's column, as text."""
    source = {"modified_at": "occurred_at", "created_at": "occurred_at"}.get(name, name)
    value = _value(events, source, at)
    if name == "attributes":
        pairs = cast("list[tuple[str, str | None]]", value)
        value = json.dumps(dict(pairs), ensure_ascii=False)
    elif value is None and any(name == f.name and f.kind == "boolean" for f in FIELDS):
        value = True
    return _as_text(value), _as_text(_value(users, name, at))


def _attributes(
    events: pa.RecordBatch, stored: Any, is_new: Flags, fills: int
) -> tuple[Hashes, Hashes]:
    """Hash custom attributes, a row at a time, where there are any."""
    column = cast("Any", events.column("attributes"))
    has_any = np.diff(column.offsets.to_numpy()) > 0
    has_any |= is_new & np.asarray(pc.not_equal(stored, "{}"))
    if fills & ATTRIBUTES_BIT:
        has_any &= is_new
    expected, found = np.full(len(is_new), _NOT_SET), np.full(len(is_new), _NOT_SET)
    at = np.flatnonzero(has_any)
    pairs: list[tuple[str, str]] = []
    for row in at.tolist():
        expected_texts = dict(cast("list[tuple[str, str | None]]", column[row].as_py()))
        texts = _texts(stored[row].as_py())
        names = texts.keys() | expected_texts.keys() if is_new[row] else expected_texts.keys()
        pairs.append((_text(expected_texts, names), _text(texts, names)))
    if pairs:
        expected[at] = text_hashes(pa.array([expected_texts for expected_texts, _ in pairs]))
        found[at] = text_hashes(pa.array([texts for _, texts in pairs]))
    return expected, found


def _texts(stored: str) -> dict[str, str]:
    """Return each value as ``attributes ->> name`` gives it."""
    values: dict[str, Any] = json.loads(stored, parse_int=str, parse_float=str)
    return {
        name: value if isinstance(value, str) else json.dumps(value)
        for name, value in values.items()
    }


def _text(values: Mapping[str, str | None], names: Any) -> str:
    return json.dumps({name: values.get(name) for name in sorted(names)})


def _sum(ids: Hashes, columns: Sequence[Hashes]) -> int:
    rows = mixed(ids + _SEED)
    for column in columns:
        rows = mixed((rows ^ column) + _SEED)
    return int(rows.sum())


def _value(rows: Any, name: str, at: int) -> object:
    try:
        return rows.column(name)[at].as_py()
    except (OverflowError, ValueError):
        return "a date of no year from 1 to 9999"


def _as_text(value: object) -> str:
    return "null" if value is None else str(value)
