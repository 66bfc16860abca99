"""Compares the rows of one leaf with the fold: which differ, are missing, or are too many."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute

from processor.verification.attribute_text import canonical_of_json
from processor.verification.findings import MOST_OF_A_KIND
from processor.verification.user_columns import NONE
from schemas.read_model.column_hashes import hashes, text_hashes
from schemas.rules.fields import FIELDS

if TYPE_CHECKING:
    from collections.abc import Iterable

    import numpy.typing as npt

    from processor.verification.user_columns import UserColumns

pc: Any = pyarrow.compute
_FIELD_NAMES: Final = [field.name for field in FIELDS]
_NUMBERS: Final = ("created_at", "modified_at", "job_id", "record_number", "modified_position")
_MOST_PAIRED: Final = 10_000
"""Rows too many that are held against the missing ones: the same user under another id."""


@dataclass(frozen=True, slots=True)
class Difference:
    """A row that is not as the log has it.

    ``id`` is the user's in the log, None where the log has no such user; ``key`` is the
    table's, None where the row is missing there.
    ``column`` is None for a row that is missing or too many; ``found`` is the table's value.
    """

    id: int | None
    key: str | None
    column: str | None
    found: object


@dataclass(slots=True)
class LeafDifferences:
    """The first differences of each kind, and how many there are by kind.

    The kinds are columns, ``missing`` and ``added``.
    """

    shown: list[Difference] = field(default_factory=list[Difference])
    counts: Counter[str] = field(default_factory=Counter[str])
    rows: int = 0
    last_position: int = 0
    """The highest log position that a row names."""

    def note(self, difference: Difference, kind: str) -> None:
        """Add one."""
        if self.counts[kind] < MOST_OF_A_KIND:
            self.shown.append(difference)
        self.counts[kind] += 1


class LeafComparison:
    """Takes the leaf's rows in any order and in any number of parts."""

    def __init__(self, users: UserColumns) -> None:
        self.differences = LeafDifferences()
        self._users = users
        slots = np.flatnonzero(users.alive[: users.size])
        ids = users.plain["id"][slots]
        order = np.argsort(ids)
        self._ids, self._slots = ids[order], slots[order]
        self._is_seen = np.zeros(len(order), np.bool_)
        self._added: list[tuple[int, str, int]] = []

    def take(self, part: pa.Table) -> None:
        """Compare some rows, in columns as :data:`processor.verification.snapshot.USER_TYPES`."""
        columns = {name: part.column(name).combine_chunks() for name in part.column_names}
        ids = np.asarray(columns["id"])
        places = np.searchsorted(self._ids, ids)
        places[places == len(self._ids)] = 0
        is_known = np.zeros(len(ids), np.bool_)
        if len(self._ids):
            is_known = self._ids[places] == ids
        # A leaf without an index may hold a row twice, which only a hand has put there.
        is_known[is_known] = ~self._is_seen[places[is_known]] & _is_first(places[is_known])
        self._is_seen[places[is_known]] = True
        self.differences.rows += len(ids)
        self._note_positions(columns)
        for at in np.flatnonzero(~is_known).tolist():
            self._note_added(columns, at)
        self._compare(columns, np.flatnonzero(is_known), self._slots[places[is_known]])

    def end(self) -> LeafDifferences:
        """Return all differences, now that every row was taken."""
        self._pair()
        for place in np.flatnonzero(~self._is_seen).tolist():
            user = int(self._ids[place])
            self.differences.note(Difference(user, None, None, None), "missing")
            if self.differences.counts["missing"] >= MOST_OF_A_KIND:
                break
        missing = int(np.count_nonzero(~self._is_seen))
        if missing:
            self.differences.counts["missing"] = missing
        for _, key, row in self._added:
            self.differences.note(Difference(None, key, None, row), "added")
        return self.differences

    def _compare(
        self, columns: dict[str, Any], rows: npt.NDArray[np.int64], slots: npt.NDArray[np.int64]
    ) -> None:
        is_all = len(rows) == len(columns["id"])
        for name, expected in self._expected(slots):
            numbers = _numbers(name, columns[name])
            found = numbers if is_all else numbers[rows]
            for at in np.flatnonzero(found != expected).tolist():
                row = int(rows[at])
                self.differences.note(
                    Difference(
                        int(self._users.plain["id"][slots[at]]),
                        columns["key"][row].as_py(),
                        name,
                        _shown(columns[name][row]),
                    ),
                    name,
                )

    def _expected(self, slots: npt.NDArray[np.int64]) -> list[tuple[str, Any]]:
        plain = self._users.plain
        values = self._users.values[slots]
        return [
            *((name, plain[name][slots]) for name in ("key", *_NUMBERS, "event_id", "attributes")),
            *((name, values[:, at]) for at, name in enumerate(_FIELD_NAMES)),
        ]

    def _note_positions(self, columns: dict[str, Any]) -> None:
        for name in ("id", "modified_position"):
            highest = pc.max(columns[name]).as_py() or 0
            self.differences.last_position = max(self.differences.last_position, highest)

    def _note_added(self, columns: dict[str, Any], at: int) -> None:
        row = columns["id"][at].as_py()
        key = columns["key"][at].as_py()
        if len(self._added) < _MOST_PAIRED:
            self._added.append((int(hashes(columns["key"].slice(at, 1))[0]), key, row))
        else:
            self.differences.note(Difference(None, key, None, row), "added")

    def _pair(self) -> None:
        """Find rows whose key the log has under another id: their id alone is wrong."""
        unpaired: list[tuple[int, str, int]] = []
        for key_hash, key, row in self._added:
            slots, is_there = self._users.find(np.array([key_hash], np.uint64))
            user = int(self._users.plain["id"][slots[0]])
            place = int(np.searchsorted(self._ids, user))
            if not is_there[0] or self._is_seen[place]:
                unpaired.append((key_hash, key, row))
                continue
            self._is_seen[place] = True
            self.differences.note(Difference(user, key, "id", row), "id")
        self._added = unpaired


def has_attributes(users: UserColumns, parts: Iterable[pa.Table]) -> bool:
    """Return whether ``parts`` have the ids and attributes of just those users that have any."""
    attributes = users.plain["attributes"][: users.size]
    slots = np.flatnonzero(users.alive[: users.size] & (attributes > 0))
    ids: list[int] = users.plain["id"][slots].tolist()
    found: dict[int, int] = {}
    for part in parts:
        numbers = _attribute_hashes(part.column("attributes").combine_chunks())
        part_ids = np.asarray(part.column("id")).tolist()
        found.update(zip(part_ids, numbers.tolist(), strict=True))
    return found == dict(zip(ids, attributes[slots].tolist(), strict=True))


def _is_first(places: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
    is_first = np.zeros(len(places), np.bool_)
    is_first[np.unique(places, return_index=True)[1]] = True
    return is_first


def _numbers(name: str, column: Any) -> Any:
    if name in _NUMBERS:
        numbers = pc.cast(column, pa.int64())
        return np.asarray(pc.fill_null(numbers, NONE) if numbers.null_count else numbers)
    return _attribute_hashes(column) if name == "attributes" else hashes(column)


def _attribute_hashes(column: Any) -> npt.NDArray[np.uint64]:
    found = np.zeros(len(column), np.uint64)
    rows = np.flatnonzero(np.asarray(pc.not_equal(column, "{}")))
    texts = [canonical_of_json(text) for text in column.take(pa.array(rows)).to_pylist()]
    found[rows] = text_hashes(pa.array(texts, pa.string()))
    return found


def _shown(value: Any) -> object:
    try:
        return value.as_py()
    except (OverflowError, ValueError):
        return "a date of no year from 1 to 9999"
