"""The keys of a file's valid lines as hashes, by which it is compared with the audience."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from schemas.read_model.column_hashes import text_hashes

if TYPE_CHECKING:
    import numpy.typing as npt
    import pyarrow as pa

    from schemas.events import JobMode
    from schemas.read_model.column_hashes import Hashes

MOST_HASHES: Final = 4_000_000
"""Of a file, and of an audience: eight bytes each are held in memory."""


class KeyHashes:
    """The hashes of PostgreSQL's ``hashtextextended(key, 0)``, one of each line of a file.

    Only of lines that ``mode`` takes.
    """

    def __init__(self, mode: JobMode) -> None:
        self.mode: JobMode = mode
        self._pieces: list[Hashes] = []
        self._count = 0

    @property
    def are_all(self) -> bool:
        """False where the file has more lines than are held."""
        return self._count <= MOST_HASHES

    @property
    def lines(self) -> int:
        """How many lines the mode takes."""
        return self._count

    def add(self, keys: pa.StringArray, is_valid: npt.NDArray[np.bool_]) -> None:
        """Take in the keys of some lines."""
        self._count += int(np.count_nonzero(is_valid))
        if self.are_all:
            self._pieces.append(text_hashes(keys)[is_valid])
        else:
            self._pieces.clear()

    def compare(self, users: Hashes) -> tuple[int, int]:
        """Return how many of these users a line is of, and how many different keys there are.

        Two keys of one hash among as many as are held are less likely than one in a million.
        """
        keys = _distinct(np.concatenate([np.empty(0, np.uint64), *self._pieces]))
        both = np.concatenate((keys, np.sort(users)))
        both.sort(kind="stable")  # merges the two, which are in order
        return int(np.count_nonzero(both[1:] == both[:-1])), len(keys)


def _distinct(hashes: Hashes) -> Hashes:
    hashes = np.sort(hashes)
    return hashes[np.append(np.ones(len(hashes[:1]), np.bool_), hashes[1:] != hashes[:-1])]
