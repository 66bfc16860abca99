"""Columns of text as cells of CSV and values of JSON.

Few values need a quote, an escape or an apostrophe: the bytes of all values are compared
with numpy, which is faster than to look each of them up, and only those few are written one by one.
Nulls stay null.
"""

from __future__ import annotations

import json
import re
from functools import reduce
from typing import TYPE_CHECKING, Any, Final, cast

import numpy as np
import pyarrow as pa
import pyarrow.compute

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    import numpy.typing as npt

    Bytes = npt.NDArray[np.uint8]
    Flags = npt.NDArray[np.bool_]
    Rows = npt.NDArray[np.int64]

pc: Any = pyarrow.compute

CSV_LINE_END: Final = "\r\n"
_FIRST_PRINTABLE: Final = 0x20
_FORMULA: Final = re.compile(r"'*[=+\-@\t\r]")
"""What a spreadsheet would run, and what would be taken for one that was kept from that."""


def with_head(head: str, pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the pieces, the first with the head before it: what fails at first fails whole."""
    before = head.encode()
    for piece in pieces:
        yield before + piece
        before = b""
    if before:
        yield before


def csv_cells(values: pa.StringArray) -> pa.StringArray:
    """Return the values quoted where they must be (RFC 4180)."""
    return _rewritten(values, _rows_with(values, _is_special_in_csv), csv_cell)


def csv_line(values: Iterable[str], end: str) -> str:
    """Return a line of these cells."""
    return ",".join(map(csv_cell, values)) + end


def csv_cell(value: str) -> str:
    """Return one value quoted where it must be."""
    is_special = any(character in value for character in '",\r\n')
    return '"' + value.replace('"', '""') + '"' if is_special else value


def json_texts(values: pa.StringArray) -> pa.StringArray:
    """Return the values as JSON strings, in UTF-8."""
    return joined('"', _json_inner(values), '"')


def json_lines(members: Iterable[tuple[str, pa.StringArray, bool]]) -> pa.StringArray:
    """Return a line with an object for each row; members that are not quoted are JSON already."""
    parts: list[Any] = []
    before = "{"
    for name, values, is_quoted in members:
        before += json.dumps(name) + ":"
        if is_quoted and not values.null_count:
            # Quotes that all values have come with what stands between them, which is cheaper.
            parts += [before + '"', _json_inner(values)]
            before = '",'
        else:
            member = json_texts(values) if is_quoted else values
            parts += [before, filled(member, "null")]
            before = ","
    return joined(*parts, before.removesuffix(",") + "}\n")


def _json_inner(values: pa.StringArray) -> pa.StringArray:
    """Return the values escaped as in JSON, without their quotes."""
    rows = _rows_with(values, _is_special_in_json)
    return _rewritten(values, rows, lambda value: json.dumps(value, ensure_ascii=False)[1:-1])


def neutralised(values: pa.StringArray) -> pa.StringArray:
    """Return the values, none of which a spreadsheet runs as a formula."""
    return _rewritten(
        values,
        _rows_that_begin(values, _is_first_of_formula),
        lambda value: f"'{value}" if _FORMULA.match(value) else value,
    )


def joined(*parts: pa.StringArray | str) -> pa.StringArray:
    """Return the parts of each row put together; null where one of them is."""
    return pc.binary_join_element_wise(*map(_typed, parts), _typed(""))


def filled(values: pa.StringArray, text: str) -> pa.StringArray:
    """Return the values with this text for each null."""
    return pc.fill_null(values, _typed(text))


def either(
    condition: Any, values: pa.StringArray | str, others: pa.StringArray | None
) -> pa.StringArray:
    """Return the values where the condition holds, and the others where it does not."""
    return pc.if_else(condition, _typed(values), _typed(others))


def _typed(part: pa.StringArray | str | None) -> Any:
    """Return the part for Arrow, which looks for pandas where it must find out a text's type."""
    return part if isinstance(part, pa.StringArray) else pa.scalar(part, pa.string())


def joined_without_nulls(parts: Iterable[pa.StringArray], separator: str = "") -> pa.StringArray:
    """Return the parts of each row that are not null, put together."""
    return pc.binary_join_element_wise(*parts, separator, null_handling="skip")


def bytes_of(values: pa.StringArray) -> bytes:
    """Return the bytes of all values one after another; there is no null."""
    data, offsets = _text_of(values)
    return data[offsets[0] : offsets[-1]].tobytes()


def _text_of(values: pa.StringArray) -> tuple[Bytes, npt.NDArray[np.int32]]:
    """Return the bytes and the places where values begin and end in them."""
    buffers: list[Any] = values.buffers()
    offsets = np.frombuffer(buffers[1], np.int32)[values.offset : values.offset + len(values) + 1]
    return np.frombuffer(buffers[2] or b"", np.uint8), offsets


def _is_among(data: Bytes, characters: bytes) -> Flags:
    return reduce(np.logical_or, [data == character for character in characters])


def _is_special_in_csv(data: Bytes) -> Flags:
    return _is_among(data, b'",\r\n')


def _is_special_in_json(data: Bytes) -> Flags:
    return (data < _FIRST_PRINTABLE) | _is_among(data, b'"\\')


def _is_first_of_formula(data: Bytes) -> Flags:
    return _is_among(data, b"'=+-@\t\r")


def _rows_with(values: pa.StringArray, is_special: Callable[[Bytes], Flags]) -> Rows:
    """Return the rows whose values contain such a byte."""
    data, offsets = _text_of(values)
    found = np.flatnonzero(is_special(data[offsets[0] : offsets[-1]])) + offsets[0]
    rows = cast("Rows", np.searchsorted(offsets[1:], found, side="right"))
    return np.unique(rows)


def _rows_that_begin(values: pa.StringArray, is_special: Callable[[Bytes], Flags]) -> Rows:
    """Return the rows whose values begin with such a byte."""
    data, offsets = _text_of(values)
    filled = np.flatnonzero(offsets[1:] > offsets[:-1])
    return filled[is_special(data[offsets[filled]])]


def _rewritten(values: pa.StringArray, rows: Rows, write: Callable[[str], str]) -> pa.StringArray:
    """Return the column with the values of these rows written anew; none of them is null."""
    if not len(rows):
        return values
    is_rewritten = np.zeros(len(values), np.bool_)
    is_rewritten[rows] = True
    texts: Any = values.filter(pa.array(is_rewritten)).to_pylist()
    new = pa.array([write(text) for text in texts], pa.string())
    return pc.replace_with_mask(values, pa.array(is_rewritten), new)
