"""A hash table of keys over whole columns at once, with open addressing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

_FREE: Final = -1
_SMALLEST: Final = 1 << 10
_ROOM: Final = 2
"""Places for each key: then a search looks at one and a half of them on average."""


class KeyIndex:
    """Slots by 64-bit hashes of keys; a hash that is there is never added again."""

    def __init__(self) -> None:
        self._count = 0
        self._resize(_SMALLEST)

    def find(self, keys: npt.NDArray[np.uint64]) -> npt.NDArray[np.int64]:
        """Return the slot of each key, -1 where it has none."""
        found = np.full(len(keys), _FREE, np.int64)
        rows = np.arange(len(keys))
        places = self._first_places(keys)
        while len(rows):
            slots = self._slots[places]
            is_hit = (slots != _FREE) & (self._keys[places] == keys[rows])
            found[rows[is_hit]] = slots[is_hit]
            goes_on = (slots != _FREE) & ~is_hit
            rows, places = rows[goes_on], (places[goes_on] + 1) & self._mask
        return found

    def add(self, keys: npt.NDArray[np.uint64], slots: npt.NDArray[np.int64]) -> None:
        """Add keys that differ and are not there yet; return their slots."""
        self._count += len(keys)
        if self._count * _ROOM > len(self._keys):
            taken = self._slots != _FREE
            keys = np.concatenate([self._keys[taken], keys])
            slots = np.concatenate([self._slots[taken], slots])
            self._resize(1 << (2 * _ROOM * self._count - 1).bit_length())
        self._place(keys, slots)

    def _resize(self, places: int) -> None:
        self._mask = places - 1
        self._keys = np.zeros(places, np.uint64)
        self._slots = np.full(places, _FREE, np.int64)

    def _place(self, keys: npt.NDArray[np.uint64], slots: npt.NDArray[np.int64]) -> None:
        places = self._first_places(keys)
        while len(keys):
            is_free = self._slots[places] == _FREE
            # Of several that want one place the last one written has it, the others go on.
            self._slots[places[is_free]] = slots[is_free]
            goes_on = self._slots[places] != slots
            self._keys[places[~goes_on]] = keys[~goes_on]
            keys, slots = keys[goes_on], slots[goes_on]
            places = (places[goes_on] + 1) & self._mask

    def _first_places(self, keys: npt.NDArray[np.uint64]) -> npt.NDArray[np.int64]:
        # The hashes are mixed well, so any of their bits will do.
        return (keys & np.uint64(self._mask)).astype(np.int64)
