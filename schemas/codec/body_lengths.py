"""Computes the length of the Avro bodies of a batch column by column, without encoding them.

Of the forms in which a value may be written the shortest counts, which is what our encoders
write (Avro specification, "Binary Encoding").
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, cast

import numpy as np
import pyarrow as pa
import pyarrow.compute

if TYPE_CHECKING:
    import numpy.typing as npt

_pc: Any = pyarrow.compute
_BITS_A_BYTE: Final = 7
_INT64_BITS: Final = 64


def body_bytes(batch: pa.RecordBatch, definition: dict[str, Any]) -> int:
    """Return the bytes of all bodies together; ``definition`` is the Avro schema of the batch."""
    columns = cast("list[Any]", batch.columns)
    types = [field["type"] for field in definition["fields"]]
    return sum(_bytes(*each) for each in zip(columns, types, strict=True))


def _bytes(column: Any, avro_type: Any) -> int:
    if isinstance(avro_type, list):  # the number of the branch, which is one byte, and the value
        value_type = next(each for each in cast("list[Any]", avro_type) if each != "null")
        return len(column) + _bytes(column.drop_null(), value_type)
    node = {"type": avro_type} if isinstance(avro_type, str) else cast("dict[str, Any]", avro_type)
    kind = node["type"]
    if kind in ("boolean", "enum"):
        return len(column)
    if kind == "string":
        lengths = np.asarray(_pc.binary_length(column))
        return int(lengths.sum()) + _number_bytes(lengths)
    if kind == "map":
        return _map_bytes(column, node["values"])
    width = pa.int32() if column.type.bit_width == pa.int32().bit_width else pa.int64()
    return _number_bytes(np.asarray(column.view(width)))


def _map_bytes(column: Any, value_type: Any) -> int:
    """Return the bytes of maps: one block where there are entries, and a 0 at the end."""
    offsets = column.offsets.to_numpy()
    sizes = np.diff(offsets)
    begin, entries = int(offsets[0]), int(offsets[-1] - offsets[0])
    keys, values = (each.slice(begin, entries) for each in (column.keys, column.items))
    blocks = len(column) + _number_bytes(sizes[sizes > 0])
    return blocks + _bytes(keys, "string") + _bytes(values, value_type)


def _number_bytes(numbers: npt.NDArray[np.int32] | npt.NDArray[np.int64]) -> int:
    """Return the bytes of numbers: zigzag, then seven bits a byte."""
    if not len(numbers):
        return 0
    halves = np.maximum(numbers, ~numbers)  # of what zigzag makes of them, rounded down
    least, most = int(halves.min()), int(halves.max())
    total = len(halves)
    for bits in range(_BITS_A_BYTE, _INT64_BITS, _BITS_A_BYTE):
        limit = 1 << (bits - 1)
        if least >= limit:
            total += len(halves)
        elif most >= limit:
            total += int(np.count_nonzero(halves >= limit))
    return total
