"""Which rows of a job count among those that came: a job's pass may come again and again."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt


def in_sequence(sequences: npt.NDArray[np.int64], expected: int) -> npt.NDArray[np.int64]:
    """Indexes of the rows that continue the sequence, each number once."""
    if np.array_equal(sequences, np.arange(expected, expected + len(sequences))):
        return np.arange(len(sequences))
    taken: list[int] = []
    for at, sequence in enumerate(sequences.tolist()):
        if sequence == expected:
            taken.append(at)
            expected += 1
    return np.array(taken, np.int64)
