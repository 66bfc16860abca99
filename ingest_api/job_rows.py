"""The rows of one job among the records of a stretch of the log: those that count, in columns.

As the projection has it: a row counts where its sequence is the next expected,
from whichever pass it comes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute

from schemas import codec
from schemas.events import RowRejected, UserRow

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    Numbers = npt.NDArray[np.int64]

pc: Any = pyarrow.compute
_NONE: Final = -1


@dataclass(frozen=True, slots=True)
class JobRows:
    """``places`` of all rows that count, among the records.

    ``rows`` are those of them that are UserRows, ``row_places`` their places.
    """

    places: Numbers
    rows: pa.RecordBatch
    row_places: Numbers


def job_rows(job_id: int, values: Sequence[bytes], expected: int) -> JobRows:
    """The job's rows among these values, from the sequence number ``expected`` on."""
    row_frame, rejection_frame = codec.frame_of(UserRow), codec.frame_of(RowRejected)
    frames = [value[: codec.FRAME_BYTES] for value in values]
    current = [at for at, frame in enumerate(frames) if frame == row_frame]
    refused = [at for at, frame in enumerate(frames) if frame == rejection_frame]
    earlier = [
        at
        for at, frame in enumerate(frames)
        if frame != row_frame and codec.type_of_frame(frame) is UserRow
    ]
    rows, row_places = _decoded(UserRow, values, current, earlier)
    rejections, rejection_places = _decoded(RowRejected, values, refused, [])
    sequences = np.full(len(values), _NONE, np.int64)
    for decoded, places in ((rows, row_places), (rejections, rejection_places)):
        is_own = np.asarray(pc.fill_null(pc.equal(decoded.column("job_id"), job_id), False))  # noqa: FBT003 - what null becomes
        numbers = np.asarray(pc.fill_null(decoded.column("sequence"), _NONE))
        sequences[places[is_own]] = numbers[is_own]
    own = np.flatnonzero(sequences != _NONE)
    counted = own[_in_sequence(sequences[own], expected)]
    does_count = np.isin(row_places, counted)
    return JobRows(counted, rows.filter(pa.array(does_count)), row_places[does_count])


def _decoded(
    event_type: type[UserRow | RowRejected],
    values: Sequence[bytes],
    current: list[int],
    earlier: list[int],
) -> tuple[pa.RecordBatch, Numbers]:
    """The records at these places; ``earlier`` are those of earlier schemas."""
    if not earlier:
        try:
            batch = codec.decode_batch(event_type, [values[at] for at in current])
        except ValueError:
            pass  # one of them is no event: then each is tried alone
        else:
            return batch, np.array(current, np.int64)
    good = {
        at: value
        for at in sorted([*current, *earlier])
        if (value := _canonical(event_type, values[at]))
    }
    return codec.decode_batch(event_type, list(good.values())), np.array(list(good), np.int64)


def _canonical(event_type: type[UserRow | RowRejected], value: bytes) -> bytes | None:
    """The value in the bytes that our own encoder writes; None where it is no event."""
    try:
        written = codec.encode(codec.decode(value))
        codec.decode_batch(event_type, [written])
    except ValueError:
        return None
    return written


def _in_sequence(sequences: Numbers, expected: int) -> Numbers:
    """Which continue the sequence, each number once."""
    if np.array_equal(sequences, np.arange(expected, expected + len(sequences))):
        return np.arange(len(sequences))
    taken: list[int] = []
    for at, sequence in enumerate(sequences.tolist()):
        if sequence == expected:
            taken.append(at)
            expected += 1
    return np.array(taken, np.int64)
