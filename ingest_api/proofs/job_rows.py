"""Find the rows of one job that count among a range of the log's records, in columns.

As the projection has it: a row counts where its sequence is the next expected,
from whichever pass it comes; one that is of no pass is none of the job's.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute

from schemas.codec import codec, columnar, framing
from schemas.events import RowErased, RowRejected, UserRow
from schemas.log.passes import misattributed_rows
from schemas.log.sequences import in_sequence
from schemas.log.storable import unstorable_rows

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from schemas.events import Event

    Numbers = npt.NDArray[np.int64]

pc: Any = pyarrow.compute
_NONE: Final = -1


@dataclass(frozen=True, slots=True)
class JobRows:
    """``places`` of all rows that count, among the records, and the numbers of their lines.

    ``rows`` are those of them that are UserRows, ``row_places`` their places; ``erased`` those
    whose data is erased.
    """

    places: Numbers
    record_numbers: Numbers
    rows: pa.RecordBatch
    row_places: Numbers
    erased: Sequence[RowErased]


def job_rows(job_id: int, values: Sequence[bytes], expected: int) -> JobRows:
    """Return the job's rows among these values, from the sequence number ``expected`` on."""
    at, odd = _places(values)
    rows, row_places = _decoded(UserRow, values, at[UserRow], has_odd=bool(odd & {UserRow}))
    rejections, rejection_places = _decoded(
        RowRejected, values, at[RowRejected], has_odd=bool(odd & {RowRejected})
    )
    sequences, record_numbers = np.full((2, len(values)), _NONE, np.int64)
    for decoded, places in ((rows, row_places), (rejections, rejection_places)):
        is_own = np.asarray(pc.fill_null(pc.equal(decoded.column("job_id"), job_id), False))  # noqa: FBT003 - what null becomes
        numbers = np.asarray(pc.fill_null(decoded.column("sequence"), _NONE))
        is_own = is_own.copy()
        is_own[unstorable_rows(decoded)] = False
        if decoded is rows:
            is_own[misattributed_rows(rows)] = False
        sequences[places[is_own]] = numbers[is_own]
        lines = np.asarray(pc.fill_null(decoded.column("record_number"), _NONE))
        record_numbers[places[is_own]] = lines[is_own]
    erased = _erased(job_id, values, at[RowErased])
    for place, row in erased.items():
        sequences[place], record_numbers[place] = row.sequence or 0, row.record_number or 0
    own = np.flatnonzero(sequences != _NONE)
    counted = own[in_sequence(sequences[own], expected)]
    does_count = np.isin(row_places, counted)
    return JobRows(
        counted,
        record_numbers[counted],
        rows.filter(pa.array(does_count)),
        row_places[does_count],
        [erased[place] for place in counted.tolist() if place in erased],
    )


def _places(values: Sequence[bytes]) -> tuple[dict[type[Event], list[int]], set[type[Event]]]:
    """Return the places of events by type, and the types of which some have another schema."""
    rows: list[int] = []
    places: dict[type[Event], list[int]] = {UserRow: rows, RowRejected: [], RowErased: []}
    odd: set[type[Event]] = set()
    row_frame = framing.frame_of(UserRow)
    for at, value in enumerate(values):
        if value.startswith(row_frame):  # nearly all
            rows.append(at)
        elif (known := framing.type_of(value)) and known[0] in places:
            places[known[0]].append(at)
            if not known[1]:
                odd.add(known[0])
    return places, odd


def _decoded(
    event_type: type[UserRow | RowRejected],
    values: Sequence[bytes],
    places: list[int],
    *,
    has_odd: bool,
) -> tuple[pa.RecordBatch, Numbers]:
    """Return the events of this type, and their places."""
    if not has_odd:
        try:
            batch = columnar.decode_batch(event_type, [values[at] for at in places])
        except ValueError:
            pass  # one of them is no event: then each is tried alone
        else:
            return batch, np.array(places, np.int64)
    each = {at: _canonical(event_type, values[at]) for at in places}
    decodable = {at: value for at, value in each.items() if value}
    return columnar.decode_batch(event_type, list(decodable.values())), np.array(
        list(decodable), np.int64
    )


def _erased(job_id: int, values: Sequence[bytes], places: list[int]) -> dict[int, RowErased]:
    """Return the job's erased lines by their places."""
    found: dict[int, RowErased] = {}
    for place in places:
        with contextlib.suppress(ValueError):  # one that is no event is none of them
            row = codec.decode(values[place])
            if isinstance(row, RowErased) and row.job_id == job_id:
                found[place] = row
    return found


def _canonical(event_type: type[UserRow | RowRejected], value: bytes) -> bytes | None:
    """Return the value as our own encoder writes it; None where it is no event."""
    try:
        written = codec.encode(codec.decode(value))
        columnar.decode_batch(event_type, [written])
    except ValueError:
        return None
    return written
