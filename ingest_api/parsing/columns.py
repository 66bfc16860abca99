"""Reads a block of records into columns of trimmed cells.

A kernel call a cell is too dear on the hot path (pyarrow's utf8_trim_whitespace
takes 361 ns a value), so the bytes at the edges of all cells are looked at with
numpy, and only cells that may need it are trimmed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, cast

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv

from schemas.rules.characters import HIDDEN

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy.typing as npt

    from ingest_api.parsing.block import Block

    Mask = npt.NDArray[np.bool_]
    Positions = npt.NDArray[np.int64]
    Codes = npt.NDArray[np.uint8]

_BOM: Final = b"\xef\xbb\xbf"
_SPACE: Final = 0x20
_APOSTROPHE: Final = ord("'")
_FORMULA_STARTS: Final = (b"=", b"+", b"-", b"@", b"\t", b"\r")
_RUN_AS_FORMULAS: Final = np.frombuffer(b"".join(_FORMULA_STARTS), np.uint8)
_FIRST_CONTINUATION, _LAST_CONTINUATION = 0x80, 0xBF
_DELETE: Final = 0x7F
_FIRST_LEAD: Final = 0xC2
_MAYBE_UNSEEN: Final = np.zeros(1 << 16, np.bool_)
"""By the first two bytes of a character's UTF-8; they begin other characters too."""
_MAYBE_UNSEEN[
    [int.from_bytes(character.encode()[:2]) for character in HIDDEN if ord(character) > _DELETE]
] = True


@dataclass(frozen=True, slots=True)
class TextColumn:
    """An Arrow column of text, with the offsets of its values: ``data[starts[i]:ends[i]]``.

    No value is null, and the values follow each other from the first byte on.
    """

    array: pa.StringArray
    data: Codes
    starts: Positions
    ends: Positions

    @property
    def lengths(self) -> Positions:
        """The lengths of the values in bytes."""
        return self.ends - self.starts

    def rows_at(self, positions: Positions) -> Positions:
        """Return the rows whose values contain the bytes at these positions."""
        if len(positions) == len(self.ends) and self._are_one_each(positions):
            return np.arange(len(positions))
        return np.searchsorted(self.ends, positions, side="right")

    def _are_one_each(self, positions: Positions) -> bool:
        return bool((positions >= self.starts).all() and (positions < self.ends).all())

    def values_where(self, is_wanted: Mask) -> list[str]:
        """Return the values of these rows, in order."""
        return cast("list[str]", self.array.filter(pa.array(is_wanted)).to_pylist())


def text_column(array: pa.StringArray) -> TextColumn:
    """Return the array as a text column; it starts at offset 0 and has no nulls."""
    buffers = cast("list[Any]", array.buffers())
    offsets = np.frombuffer(buffers[1], np.int32, len(array) + 1).astype(np.int64)
    data = np.frombuffer(buffers[2] or b"", np.uint8)[: offsets[-1]]
    return TextColumn(array, data, offsets[:-1], offsets[1:])


def text_column_of_bytes(data: Codes, offsets: Positions) -> TextColumn:
    """Return the values that follow each other in ``data``, in UTF-8, as a text column."""
    array = pa.StringArray.from_buffers(
        len(offsets) - 1,
        buffer_of(offsets.astype(np.int32)),
        buffer_of(np.ascontiguousarray(data)),
    )
    return text_column(array)


def buffer_of(array: npt.NDArray[Any]) -> pa.Buffer:
    """Return the array's memory as an Arrow buffer."""
    return pa.py_buffer(cast("Any", array))


def read_cells(block: Block, is_whole: Mask, columns: int) -> list[pa.StringArray]:
    """Return the cells of these records by column, unquoted but not trimmed.

    There is at least one record, and each has this number of fields.
    """
    names = [str(column) for column in range(columns)]
    data = _csv_bytes(block, is_whole)
    table = csv.read_csv(
        cast("Any", pa.BufferReader(data)),
        # One block, else cells would come in several chunks.
        read_options=csv.ReadOptions(
            use_threads=False, column_names=names, block_size=len(data) + 1
        ),
        parse_options=csv.ParseOptions(
            delimiter=block.delimiter, newlines_in_values=block.has_quotes
        ),
        convert_options=csv.ConvertOptions(
            column_types=dict.fromkeys(names, pa.string()),
            strings_can_be_null=False,
            check_utf8=False,
        ),
    )
    if table.num_rows != np.count_nonzero(is_whole):
        raise RuntimeError("pyarrow found another number of records than the structure says")
    return [cast("pa.StringArray", column.chunk(0)) for column in table.columns]


def _csv_bytes(block: Block, is_whole: Mask) -> bytes:
    """Return the records' bytes for pyarrow, which drops a byte order mark at the start."""
    if is_whole.all() and block.is_contiguous:
        data = block.data
    else:
        starts, nexts = block.starts[is_whole], block.nexts[is_whole]
        is_gap = starts[1:] != nexts[:-1]
        begins = starts[np.append(True, is_gap)]
        ends = nexts[np.append(is_gap, True)]
        data = b"".join(block.data[start:end] for start, end in zip(begins, ends, strict=True))
    return _BOM + data if data.startswith(_BOM) else data


def without_apostrophes(array: pa.StringArray) -> pa.StringArray:
    """Return the cells without the apostrophe that keeps spreadsheets from running a formula."""
    column = text_column(array)
    rows = np.flatnonzero(column.lengths > 1)
    starts, ends = column.starts[rows], column.ends[rows]
    is_marked = column.data[starts] == _APOSTROPHE
    starts, ends = starts[is_marked], ends[is_marked]
    seconds = column.data[starts + 1]
    is_formula = np.isin(seconds, _RUN_AS_FORMULAS)
    # One that stood there before was doubled.
    for index in np.flatnonzero(seconds == _APOSTROPHE).tolist():
        cell = bytes(column.data[starts[index] : ends[index]]).lstrip(b"'")
        is_formula[index] = cell.startswith(_FORMULA_STARTS)
    is_dropped = np.zeros(len(column.data), np.bool_)
    is_dropped[starts[is_formula]] = True
    return without(column, is_dropped).array


def without(column: TextColumn, is_dropped: Mask) -> TextColumn:
    """Return the column without these bytes."""
    if not is_dropped.any():
        return column
    dropped_before = np.concatenate(([0], np.cumsum(is_dropped)))
    offsets = np.append(column.starts, len(column.data))
    return text_column_of_bytes(column.data[~is_dropped], offsets - dropped_before[offsets])


def trimmed(array: pa.StringArray, strip: Callable[[str], str] = str.strip) -> TextColumn:
    """Return the column without what this function strips: white space, and what nobody sees."""
    column = text_column(array)
    if not _may_hold_unseen(column.data):
        return column
    is_suspect = (column.lengths > 0) & (_begins_unseen(column) | _ends_unseen(column))
    if not is_suspect.any():
        return column
    return with_replaced(column, is_suspect, list(map(strip, column.values_where(is_suspect))))


def with_replaced(column: TextColumn, is_replaced: Mask, values: Sequence[str]) -> TextColumn:
    """Return the column with these values, in order, in these rows."""
    new = pa.array(values, pa.string())
    replaced = cast("Any", pc.replace_with_mask(column.array, pa.array(is_replaced), new))
    return text_column(replaced)


def _may_hold_unseen(data: Codes) -> bool:
    return bool(((data <= _SPACE) | (data > _DELETE)).any())


def _begins_unseen(column: TextColumn) -> Mask:
    """Return the rows whose first character may be unseen; anything for empty rows."""
    last = len(column.data) - 1
    first = column.data[np.minimum(column.starts, last)]
    is_unseen = first <= _SPACE
    rows = np.flatnonzero(first >= _FIRST_LEAD)
    if len(rows):
        second = column.data[np.minimum(column.starts[rows] + 1, last)]
        is_unseen[rows] = _is_unseen_lead(first[rows], second)
    return is_unseen


def _ends_unseen(column: TextColumn) -> Mask:
    """Return the rows whose last character may be unseen; anything for empty rows."""
    last = column.data[column.ends - 1]
    is_unseen = last <= _SPACE
    rows = np.flatnonzero((last >= _FIRST_CONTINUATION) & (last <= _LAST_CONTINUATION))
    if len(rows):
        # Its lead is one to three bytes before: an index below 0 means a byte of another row.
        back = [column.data[np.maximum(column.ends[rows] - places, 0)] for places in (1, 2, 3, 4)]
        pairs = zip(back[1:], back, strict=False)
        is_unseen[rows] = np.any([_is_unseen_lead(lead, next_) for lead, next_ in pairs], axis=0)
    return is_unseen


def _is_unseen_lead(first: Codes, second: Codes) -> Mask:
    return _MAYBE_UNSEEN[(first.astype(np.uint16) << 8) | second]


def raw_records(block: Block) -> TextColumn:
    """Return each record as uploaded."""
    lengths = block.ends - block.starts
    offsets = np.concatenate(([0], np.cumsum(lengths)))
    line_end = block.uniform_line_end
    if line_end and not block.has_quotes:
        data = np.frombuffer(block.data.replace(line_end, b""), np.uint8)
    else:
        edges = np.zeros(len(block.data) + 1, np.int8)
        edges[block.starts] += 1
        edges[block.ends] -= 1
        is_kept = np.cumsum(edges[:-1], dtype=np.int8).view(np.bool_)
        data = np.frombuffer(block.data, np.uint8)[is_kept]
    return text_column_of_bytes(data, offsets)


def repeated(text: str, count: int) -> pa.StringArray:
    """Return the text ``count`` times; pa.repeat is slow: it looks for dateutil at each call."""
    encoded = text.encode()
    offsets = np.arange(count + 1) * len(encoded)
    return text_column_of_bytes(np.frombuffer(encoded * count, np.uint8), offsets).array


def nullable(column: TextColumn) -> pa.StringArray:
    """Return the column with null for each empty value."""
    return with_nulls(column.array, column.lengths == 0)


def with_nulls(array: pa.Array[Any], is_null: Mask) -> Any:
    """Return the array, which has no nulls, with null in these rows."""
    if not is_null.any():
        return array
    bits = buffer_of(np.packbits(~is_null, bitorder="little"))
    buffers = cast("Sequence[Any]", array.buffers())
    return pa.Array.from_buffers(array.type, len(array), [bits, *buffers[1:]])


def take(array: Any, rows: Positions) -> Any:
    """Return the array's values at these rows, in their order."""
    return array.take(pa.array(rows))
