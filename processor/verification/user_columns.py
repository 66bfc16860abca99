"""The users of one leaf as columns of numbers: what the fold writes and the comparison reads."""

from __future__ import annotations

from dataclasses import dataclass, field
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa

from processor.verification.key_index import KeyIndex
from schemas.read_model.column_hashes import hashes
from schemas.rules.fields import FIELDS, SUBSCRIPTIONS

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy.typing as npt

    Indexes = npt.NDArray[np.int64]
    Numbers = npt.NDArray[np.int64]
    Hashes = npt.NDArray[np.uint64]

NONE: Final = 0
"""Stands for a null job, record number or position; none of them is ever 0."""
FALSE, TRUE = hashes(pa.array([False, True]))
_COLUMNS: Final = [FIELDS.index(field) for field in SUBSCRIPTIONS]
_BITS: Final = np.array([field.bit for field in SUBSCRIPTIONS], np.int64)
_SMALLEST: Final = 1 << 10
_FEW_DEAD: Final = 1 << 14

PLAIN_COLUMNS: Final[dict[str, Any]] = {
    "key": np.uint64,
    "id": np.int64,
    "created_at": np.int64,
    "modified_at": np.int64,
    "job_id": np.int64,
    "record_number": np.int64,
    "event_id": np.uint64,
    "modified_position": np.int64,
    "attributes": np.uint64,
}
"""Beside the fields: numbers as they are (times in microseconds), texts as hashes."""


@dataclass(slots=True)
class UserColumns:
    """Users by slot.

    ``values`` has a column for each field, in the order of FIELDS.
    ``attributes`` has the JSON of each value by name, for users that have any.
    A slot that is not alive may be taken again by its own key only.
    """

    index: KeyIndex = field(default_factory=KeyIndex)
    size: int = 0
    alive: npt.NDArray[np.bool_] = field(default_factory=lambda: np.zeros(_SMALLEST, np.bool_))
    values: npt.NDArray[np.uint64] = field(
        default_factory=lambda: np.zeros((_SMALLEST, len(FIELDS)), np.uint64)
    )
    plain: dict[str, npt.NDArray[Any]] = field(
        default_factory=lambda: {
            name: np.zeros(_SMALLEST, kind) for name, kind in PLAIN_COLUMNS.items()
        }
    )
    attributes: dict[int, dict[str, str]] = field(default_factory=dict[int, "dict[str, str]"])

    @property
    def users(self) -> int:
        """The number of users that are there now."""
        return int(np.count_nonzero(self.alive[: self.size]))

    def keys(self) -> npt.NDArray[np.uint64]:
        """Hashes of the keys of those that there are."""
        return self.plain["key"][np.flatnonzero(self.alive[: self.size])]

    def find(self, keys: npt.NDArray[np.uint64]) -> tuple[Indexes, npt.NDArray[np.bool_]]:
        """Return each key's slot, -1 where it never had one, and whether a user is there now."""
        slots = self.index.find(keys)
        is_there = slots >= 0
        is_there[is_there] = self.alive[slots[is_there]]
        return slots, is_there

    def make_slots(self, count: int) -> Indexes:
        """Make so many slots that nobody has had."""
        begin, self.size = self.size, self.size + count
        places = len(self.alive)
        while places < self.size:
            places *= 2
        if places > len(self.alive):
            # In place: large arrays are moved by the kernel's page tables, without a copy.
            self.alive.resize(places, refcheck=False)
            self.values.resize((places, len(FIELDS)), refcheck=False)
            for column in self.plain.values():
                column.resize(places, refcheck=False)
        return np.arange(begin, self.size)

    def tidy(self) -> None:
        """Give back the slots of users that are gone, where they are the most; slots change."""
        kept = np.flatnonzero(self.alive[: self.size])
        dead = self.size - len(kept)
        if dead <= max(_FEW_DEAD, len(kept)):
            return
        new_slot = {
            int(slot): at for at, slot in enumerate(kept.tolist()) if slot in self.attributes
        }
        smaller = UserColumns()
        slots = smaller.make_slots(len(kept))
        smaller.alive[slots] = True
        smaller.values[slots] = self.values[kept]
        for name, column in self.plain.items():
            smaller.plain[name][slots] = column[kept]
        smaller.index.add(smaller.plain["key"][slots], slots)
        smaller.attributes = {new_slot[slot]: self.attributes[slot] for slot in new_slot}
        self.index, self.size, self.alive = smaller.index, smaller.size, smaller.alive
        self.values, self.plain, self.attributes = smaller.values, smaller.plain, smaller.attributes


class OptOuts:
    """The opt-outs of keys that have no user in the generation that is written.

    Flags are bits as in ``UserRow.present``; ``flags`` has them by hash of the key, ``erased`` by
    SHA-256 of those whose keys are not known any more.
    """

    def __init__(self) -> None:
        self.flags: dict[int, int] = {}
        self.erased: dict[bytes, int] = {}

    def remember(self, users: UserColumns, slots: Numbers) -> None:
        """Remember those of users who go."""
        flags = opted_out(users.values[slots])
        some = flags > 0
        keys = users.plain["key"][slots[some]]
        self.flags.update(zip(keys.tolist(), flags[some].tolist(), strict=True))

    def set_erased(self, key_hash: bytes, flags: int) -> None:
        """Remember those of a person whose data has been erased."""
        self.erased.pop(key_hash, None)
        if flags:
            self.erased[key_hash] = flags

    def take(self, hashes: Hashes, keys: Callable[[], list[str]]) -> Numbers:
        """Return those of keys that get users, 0 where there are none, and forget them here.

        ``keys`` are asked for the texts only where they must be.
        """
        flags = np.zeros(len(hashes), np.int64)
        if self.flags:
            flags |= np.array([self.flags.pop(key, 0) for key in hashes.tolist()], np.int64)
        if self.erased:
            digests = [sha256(key.encode()).digest() for key in keys()]
            flags |= np.array([self.erased.pop(digest, 0) for digest in digests], np.int64)
        return flags


def opted_out(values: Hashes) -> Numbers:
    """Return the flags of users with these values."""
    return (values[:, _COLUMNS] == FALSE) @ _BITS


def keep(values: Hashes, flags: Numbers) -> Numbers:
    """Set what ``flags`` names to false in values of users; return what was not so already."""
    held = flags & ~opted_out(values)
    for column, bit in zip(_COLUMNS, _BITS, strict=True):
        values[(held & bit) > 0, column] = FALSE
    return held
