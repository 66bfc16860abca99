"""64-bit numbers that stand for the values of a column, one for each row, equal for equal values.

0 stands for null, and for nothing else.
The same value comes to the same number in every process and on every machine.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute

if TYPE_CHECKING:
    import numpy.typing as npt

    Hashes = npt.NDArray[np.uint64]

pc: Any = pyarrow.compute
NULL: Final = np.uint64(0)
_WORD_BYTES: Final = 8
# Odd numbers with as many ones as noughts; the mixing is that of splitmix64 (Steele, Lea and
# Flood, "Fast splittable pseudorandom number generators", 2014).
_STEP: Final = np.uint64(0x9E3779B97F4A7C15)
_FIRST: Final = np.uint64(0xBF58476D1CE4E5B9)
_SECOND: Final = np.uint64(0x94D049BB133111EB)
_MASKS: Final = np.array([(1 << 8 * size) - 1 for size in range(_WORD_BYTES)] + [2**64 - 1], "u8")


def mixed(numbers: Hashes) -> Hashes:
    """Each number as another one, whose bits all depend on all of its own."""
    numbers = (numbers ^ (numbers >> np.uint64(30))) * _FIRST
    numbers = (numbers ^ (numbers >> np.uint64(27))) * _SECOND
    return numbers ^ (numbers >> np.uint64(31))


def hashes(column: Any) -> Hashes:
    """Of any column that events and users have: texts, dates, booleans, whole numbers, times."""
    if pa.types.is_string(column.type):
        return text_hashes(column)
    if pa.types.is_boolean(column.type):
        numbers = pc.cast(column, pa.int64())
    elif pa.types.is_date32(column.type):
        numbers = pc.cast(pc.cast(column, pa.int32()), pa.int64())
    elif pa.types.is_timestamp(column.type):
        numbers = pc.cast(pc.cast(column, pa.timestamp("us")), pa.int64())
    else:
        numbers = pc.cast(column, pa.int64())
    found = mixed(_filled(numbers).view(np.uint64) + _STEP)
    return _without_nulls(found, column)


def text_hashes(column: Any) -> Hashes:
    """Of a column of texts, a word of eight bytes of all rows at a time."""
    if column.null_count == len(column):
        return np.zeros(len(column), np.uint64)
    offsets, data = _offsets_and_data(column)
    starts, lengths = offsets[:-1], np.diff(offsets)
    found = mixed(lengths.astype(np.uint64) * _STEP + _STEP)
    words = _words(data)
    rows, left = np.arange(len(starts)), lengths
    for begin in range(0, int(lengths.max(initial=0)), _WORD_BYTES):
        if begin:
            is_longer = left > _WORD_BYTES
            rows, left = rows[is_longer], left[is_longer] - _WORD_BYTES
        else:
            is_any = left > 0
            rows, left = rows[is_any], left[is_any]
        word = words[starts[rows] + begin] & _MASKS[np.minimum(left, _WORD_BYTES)]
        found[rows] = mixed((found[rows] ^ word) * _STEP + _STEP)
    return _without_nulls(found, column)


def text_hash(text: str) -> int:
    """Of one text."""
    return int(text_hashes(pa.array([text], pa.string()))[0])


def _without_nulls(found: Hashes, column: Any) -> Hashes:
    found[found == NULL] = _STEP
    if column.null_count:
        found[np.asarray(column.is_null())] = NULL
    return found


def _filled(numbers: Any) -> npt.NDArray[np.int64]:
    filled: Any = pc.fill_null(numbers, 0) if numbers.null_count else numbers
    return np.asarray(filled).astype(np.int64, copy=False)


def _words(data: npt.NDArray[np.uint8]) -> Any:
    """The word that begins at each byte, little-endian."""
    padded = np.concatenate([data, np.zeros(_WORD_BYTES, np.uint8)])
    return np.ndarray((len(data) + 1,), "<u8", padded.data, strides=(1,))


def _offsets_and_data(column: Any) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.uint8]]:
    buffers = column.buffers()
    if not len(column):
        return np.zeros(1, np.int64), np.zeros(0, np.uint8)
    offsets = np.frombuffer(buffers[1], np.int32)[column.offset : column.offset + len(column) + 1]
    offsets = offsets.astype(np.int64)
    data = np.frombuffer(buffers[2] or b"", np.uint8)[offsets[0] : offsets[-1]]
    return offsets - offsets[0], data
