"""Selects which rows of a job count, since a pass may write the same rows several times."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt


def in_sequence(sequences: npt.NDArray[np.int64], expected: int) -> npt.NDArray[np.int64]:
    """Return the indexes of the rows that continue the sequence, each number once."""
    if np.array_equal(sequences, np.arange(expected, expected + len(sequences))):
        return np.arange(len(sequences))
    taken: list[int] = []
    for at, sequence in enumerate(sequences.tolist()):
        if sequence == expected:
            taken.append(at)
            expected += 1
    return np.array(taken, np.int64)
