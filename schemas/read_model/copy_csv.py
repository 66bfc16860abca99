"""Parses the output of ``COPY … TO STDOUT (FORMAT csv)`` into Arrow columns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa
import pyarrow.compute
import pyarrow.csv

from schemas.rules.fields import FIELDS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

pc: Any = pyarrow.compute
TIME: Final = pa.timestamp("us", tz="UTC")
"""The type of a time; the session's TimeZone must be UTC, its DateStyle ISO."""
_KINDS: Final = {"boolean": pa.bool_(), "date": pa.date32()}
FIELD_TYPES: Final[dict[str, pa.DataType]] = {
    field.name: _KINDS.get(field.kind, pa.string()) for field in FIELDS
}
"""Types of a user's columns that events set, but for the attributes."""
_ORDINARY: Final = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}( [0-9][^ ]*)?$"
_INTEGERS: Final[dict[pa.DataType, Any]] = {pa.date32(): pa.int32(), TIME: pa.int64()}
_EARLIEST: Final[dict[pa.DataType, int]] = {pa.date32(): -(2**31), TIME: -(2**63) + 1}


@dataclass(frozen=True, slots=True)
class CopiedRows:
    """Some rows as CSV: at least one, and all of them whole."""

    text: bytes
    count: int

    @property
    def has_breaks(self) -> bool:
        """Whether a value may hold a line break."""
        # Only within quotes, which few blocks hold and which are found faster.
        is_quoted = b'"' in self.text
        return is_quoted and (b"\r" in self.text or self.text.count(b"\n") != self.count)


def copied_columns(
    blocks: Iterable[CopiedRows], types: Mapping[str, pa.DataType]
) -> Iterator[pa.Table]:
    """Yield each block as a table of these columns.

    A date or time outside the years 1 to 9999 becomes the earliest that its type can hold.
    """
    for rows in blocks:
        yield _parsed(rows, types)


def _parsed(rows: CopiedRows, types: Mapping[str, pa.DataType]) -> pa.Table:
    try:
        return _read_csv(rows, types)
    except pa.ArrowInvalid:
        texts = {name: pa.string() if _is_time(kind) else kind for name, kind in types.items()}
        columns = _read_csv(rows, texts)
        return pa.table({name: _cast(columns.column(name), kind) for name, kind in types.items()})


def _is_time(kind: pa.DataType) -> bool:
    return pa.types.is_date32(kind) or pa.types.is_timestamp(kind)


def _cast(column: Any, kind: pa.DataType) -> Any:
    """Return the texts cast to this type."""
    if not _is_time(kind):
        return column
    is_far = pc.invert(pc.match_substring_regex(column, _ORDINARY))
    near = pc.cast(pc.if_else(is_far, None, column), kind)
    earliest = pc.cast(pa.scalar(_EARLIEST[kind], _INTEGERS[kind]), kind)
    return pc.if_else(pc.fill_null(is_far, fill_value=False), earliest, near)


def _read_csv(rows: CopiedRows, types: Mapping[str, pa.DataType]) -> pa.Table:
    source: Any = pa.BufferReader(rows.text)
    return pyarrow.csv.read_csv(
        source,
        read_options=pyarrow.csv.ReadOptions(
            use_threads=False, block_size=len(rows.text) + 1, column_names=list(types)
        ),
        # With this the reader scans the text once more to find the rows.
        parse_options=pyarrow.csv.ParseOptions(newlines_in_values=rows.has_breaks),
        convert_options=pyarrow.csv.ConvertOptions(
            column_types=dict(types),
            null_values=[""],
            strings_can_be_null=True,
            quoted_strings_can_be_null=False,
            true_values=["t"],
            false_values=["f"],
        ),
    )
