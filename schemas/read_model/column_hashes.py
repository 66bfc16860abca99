"""Computes PostgreSQL's 64-bit hashes of the values of a column.

They are those of the ``hash_…_extended`` functions with seed 0 (src/common/hashfn.c, after
Bob Jenkins' lookup3), so rows hashed in Postgres can be compared with rows made from the
log.  0 stands for null, and for nothing else.
A value has the same hash in every process and on every machine.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute

from schemas.read_model import epoch

if TYPE_CHECKING:
    from collections.abc import Iterable

    import numpy.typing as npt

    Hashes = npt.NDArray[np.uint64]
    Halves = npt.NDArray[np.uint32]

pc: Any = pyarrow.compute
NULL: Final = np.uint64(0)
_BASE: Final = 0x9E3779B9 + 3_923_095
_BLOCK_BYTES: Final = 12
_INTEGER_BYTES: Final = 4
_MASKS: Final = np.array([(1 << 8 * size) - 1 for size in range(5)], np.uint32)
# Odd numbers with as many ones as noughts; the mixing is that of splitmix64 (Steele, Lea and
# Flood, "Fast splittable pseudorandom number generators", 2014).
_NOT_NULL: Final = np.uint64(0x9E3779B97F4A7C15)
_FIRST: Final = np.uint64(0xBF58476D1CE4E5B9)
_SECOND: Final = np.uint64(0x94D049BB133111EB)


def mixed(numbers: Hashes) -> Hashes:
    """Return each number mixed: all its bits depend on all bits of the original."""
    numbers = (numbers ^ (numbers >> np.uint64(30))) * _FIRST
    numbers = (numbers ^ (numbers >> np.uint64(27))) * _SECOND
    return numbers ^ (numbers >> np.uint64(31))


def hashes(column: Any) -> Hashes:
    """Return the hashes of any column of events or users."""
    kind = column.type
    if pa.types.is_string(kind):
        return text_hashes(column)
    if pa.types.is_timestamp(kind):
        times = pc.cast(pc.cast(column, pa.timestamp("us")), pa.int64())
        found = bigint_hashes(_filled(times) - epoch.MICROSECONDS)
    elif pa.types.is_date32(kind):
        days = _filled(pc.cast(pc.cast(column, pa.int32()), pa.int64()))
        found = integer_hashes(days - epoch.DAYS)
    elif pa.types.is_int64(kind):
        found = bigint_hashes(_filled(column))
    else:
        found = integer_hashes(_filled(pc.cast(column, pa.int64())))
    return _without_nulls(found, column)


def text_hashes(column: Any) -> Hashes:
    """Return the hashes of texts, computed a block of twelve bytes of all rows at a time."""
    if column.null_count == len(column):
        return np.zeros(len(column), np.uint64)
    offsets, data = _offsets_and_data(column)
    starts, lengths = offsets[:-1], np.diff(offsets)
    words = _words(data)
    a = (lengths + _BASE).astype(np.uint32)
    b, c = a.copy(), a.copy()
    for begin in range(0, int(lengths.max()) - _BLOCK_BYTES + 1, _BLOCK_BYTES):
        rows = np.flatnonzero(lengths >= begin + _BLOCK_BYTES)
        block = starts[rows] + begin
        a[rows], b[rows], c[rows] = _mixed_block(
            a[rows] + words[block], b[rows] + words[block + 4], c[rows] + words[block + 8]
        )
    left = lengths % _BLOCK_BYTES
    rest = starts + lengths - left
    a += words[rest] & _MASKS[np.minimum(left, 4)]
    b += words[rest + 4] & _MASKS[np.clip(left - 4, 0, 4)]
    # The lowest byte of c is the length's.
    c += (words[rest + 8] & _MASKS[np.clip(left - 8, 0, 4)]) << 8
    return _without_nulls(_final(a, b, c), column)


def text_hash(text: str) -> int:
    """Return the hash of one text."""
    return int(text_hashes(pa.array([text], pa.string()))[0])


def integer_hashes(numbers: npt.NDArray[np.int64]) -> Hashes:
    """Return the hashes of a column of type integer, date or boolean without nulls."""
    c = np.full(len(numbers), _BASE + _INTEGER_BYTES, np.uint32)
    return _final(c + numbers.astype(np.uint32), c.copy(), c)


def bigint_hashes(numbers: npt.NDArray[np.int64]) -> Hashes:
    """Return the hashes of a column of type bigint or timestamptz without nulls."""
    high = numbers >> 32
    return integer_hashes(numbers ^ np.where(numbers >= 0, high, ~high))


def record_hashes(columns: Iterable[Hashes]) -> Hashes:
    """Return the hashes of rows from those of their columns, as ``hash_record_extended``."""
    first, *others = columns
    found = first.copy()
    for column in others:
        found *= np.uint64(31)
        found += column
    return found


def _mixed_block(a: Halves, b: Halves, c: Halves) -> tuple[Halves, Halves, Halves]:
    """Apply ``mix`` of lookup3: six steps of one form."""
    for bits in (4, 6, 8, 16, 19, 4):
        a = (a - c) ^ _rotated(c, bits)
        a, b, c = b, c + b, a
    return a, b, c


def _final(a: Halves, b: Halves, c: Halves) -> Hashes:
    """Apply ``final`` of lookup3; b and c are the result."""
    c = (c ^ b) - _rotated(b, 14)
    a = (a ^ c) - _rotated(c, 11)
    b = (b ^ a) - _rotated(a, 25)
    c = (c ^ b) - _rotated(b, 16)
    a = (a ^ c) - _rotated(c, 4)
    b = (b ^ a) - _rotated(a, 14)
    c = (c ^ b) - _rotated(b, 24)
    return (b.astype(np.uint64) << np.uint64(32)) | c


def _rotated(numbers: Halves, bits: int) -> Halves:
    return (numbers << np.uint32(bits)) | (numbers >> np.uint32(32 - bits))


def _without_nulls(found: Hashes, column: Any) -> Hashes:
    found[found == NULL] = _NOT_NULL
    if column.null_count:
        found[np.asarray(column.is_null())] = NULL
    return found


def _filled(numbers: Any) -> npt.NDArray[np.int64]:
    filled: Any = pc.fill_null(numbers, 0) if numbers.null_count else numbers
    return np.asarray(filled).astype(np.int64, copy=False)


def _words(data: npt.NDArray[np.uint8]) -> Any:
    """Return the little-endian word that begins at each byte, and some beyond the end."""
    padded = np.concatenate([data, np.zeros(_BLOCK_BYTES, np.uint8)])
    return np.ndarray((len(padded) - 3,), "<u4", padded.data, strides=(1,))


def _offsets_and_data(column: Any) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.uint8]]:
    buffers = column.buffers()
    if not len(column):
        return np.zeros(1, np.int64), np.zeros(0, np.uint8)
    offsets = np.frombuffer(buffers[1], np.int32)[column.offset : column.offset + len(column) + 1]
    offsets = offsets.astype(np.int64)
    data = np.frombuffer(buffers[2] or b"", np.uint8)[offsets[0] : offsets[-1]]
    return offsets - offsets[0], data
