"""Encodes a job's file to the records that its pass appends to `user-events`.

A pure function: the same rows, in the same order, with the same bytes in each
partition, however the file comes in pieces, and in every later pass.
Sequences count the lines of a partition, taken and refused ones alike, in the
order of the file.
"""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import pyarrow as pa

from ingest_api.parsing.columns import take
from ingest_api.parsing.file_format import UNLIMITED
from ingest_api.validation.validated_file import validate_file
from schemas import events
from schemas.codec import columnar, framing
from schemas.log.topics import partitions_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy.typing as npt

    from ingest_api.parsing.decode import Readable
    from ingest_api.parsing.file_format import Limits
    from ingest_api.validation.validated_rows import RowsAndRejections
    from schemas.events import JobAccepted

    Values = dict[int, tuple[list[bytes], list[bytes]]]
    """The keys and the values of each partition."""


class FilePass:
    """One pass over one file.

    ``rows`` and ``digests`` are, by partition, those of ``JobSealed``: the number of rows
    yielded so far, and the CRC-32 of their values.
    """

    def __init__(
        self, readable: Readable, accepted: JobAccepted, partitions: int, limits: Limits = UNLIMITED
    ) -> None:
        self.rows = [0] * partitions
        self.digests = [0] * partitions
        self._blocks = validate_file(readable, accepted, limits)
        self._accepted = accepted
        self._row_frame = _frame(accepted.row_frame, events.UserRow)
        self._rejection_frame = _frame(accepted.rejection_frame, events.RowRejected)

    def blocks(self) -> Iterator[Values]:
        """Yield keys and framed values in order, by partition; one that gets none is left out.

        Raises:
            FileFault: it is not the file that was accepted.
        """
        return map(self._values, self._blocks)

    def _values(self, checked: RowsAndRejections) -> Values:
        keys = self._keys(checked)
        partitions = partitions_of(keys, len(self.rows))
        order = _order(checked, partitions)
        counts = np.bincount(partitions, minlength=len(self.rows))
        sequences = np.empty(len(order), np.int64)
        # Where a partition's rows begin in the order, less those it already has.
        shifts = np.cumsum(counts) - counts - np.array(self.rows)
        sequences[order] = np.arange(len(order)) - np.repeat(shifts, counts)
        ordered_keys = take(keys.cast(pa.binary()), order)
        ordered_values = take(self._encoded(checked, sequences), order)
        return self._by_partition(ordered_keys, ordered_values, counts)

    def _keys(self, checked: RowsAndRejections) -> pa.StringArray:
        """Return the record keys of the rows, then of the rejections: ``<job id>/<number>``."""
        keys = cast("pa.StringArray", checked.rows.column("key"))
        numbers = cast("list[int]", checked.rejections.column("record_number").to_pylist())
        if not numbers:
            return keys
        job_id = self._accepted.job_id
        return pa.concat_arrays([keys, pa.array([f"{job_id}/{number}" for number in numbers])])

    def _encoded(
        self, checked: RowsAndRejections, sequences: npt.NDArray[np.int64]
    ) -> pa.BinaryArray:
        """Return the values of the rows, then those of the rejections."""
        count = checked.rows.num_rows
        rows = _with_sequence(checked.rows, sequences[:count])
        values = columnar.encode_batch(self._row_frame, rows)
        if not checked.rejections.num_rows:
            return values
        rejections = _with_sequence(checked.rejections, sequences[count:])
        refused = columnar.encode_batch(self._rejection_frame, rejections)
        return pa.concat_arrays([values, refused])

    def _by_partition(
        self, keys: pa.BinaryArray, values: pa.BinaryArray, counts: npt.NDArray[np.int64]
    ) -> Values:
        found: Values = {}
        start = 0
        for partition, count in enumerate(counts.tolist()):
            if count:
                some = values.slice(start, count)
                self.rows[partition] += count
                self.digests[partition] = zlib.crc32(_bytes_of(some), self.digests[partition])
                found[partition] = _list_of(keys.slice(start, count)), _list_of(some)
                start += count
        return found


def _frame(accepted: bytes | None, event_type: type[events.Event]) -> bytes:
    return framing.frame_of(event_type) if accepted is None else accepted


def _order(checked: RowsAndRejections, partitions: npt.NDArray[np.int32]) -> npt.NDArray[np.int64]:
    """Return the order of the lines by partition, and in each as in the file."""
    # Sixteen bits are sorted by their digits, which is faster than by comparison.
    narrow = partitions.astype(np.uint16)
    if not checked.rejections.num_rows:
        return np.argsort(narrow, kind="stable")
    both = (checked.rows, checked.rejections)
    numbers = np.concatenate([batch.column("record_number").to_numpy() for batch in both])
    return np.lexsort((numbers, narrow))


def _with_sequence(batch: pa.RecordBatch, sequences: npt.NDArray[np.int64]) -> pa.RecordBatch:
    index = batch.schema.get_field_index("sequence")
    return batch.set_column(index, cast("Any", batch.schema.field(index)), pa.array(sequences))


def _list_of(values: pa.BinaryArray) -> list[bytes]:
    return cast("list[bytes]", values.to_pylist())


def _bytes_of(values: pa.BinaryArray) -> memoryview:
    """Return the bytes of the values, one after the other as they lie in memory."""
    buffers = cast("list[Any]", values.buffers())
    offsets = np.frombuffer(buffers[1], np.int32)
    first, last = offsets[values.offset], offsets[values.offset + len(values)]
    return memoryview(buffers[2])[first:last]
