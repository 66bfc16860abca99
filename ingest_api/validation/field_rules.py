"""Applies the rules of `schemas.rules.fields` to whole columns: validates and converts values.

Each function takes trimmed values and validates only those that are not empty.
Cells of a usual shape are validated by numpy from their bytes; the few others one
by one, by the patterns themselves.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any, Final, cast

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ingest_api.parsing.columns import text_column_of_bytes, with_nulls, with_replaced, without
from schemas.rules.attributes import MAX_NUMBER_DIGITS, canonical_number
from schemas.rules.fields import (
    EMAIL_PATTERN,
    FALSE_WORDS,
    MOBILE_PUNCTUATION,
    TRUE_WORDS,
    USA_NAMES,
)

if TYPE_CHECKING:
    import numpy.typing as npt

    from ingest_api.parsing.columns import Mask, Positions, TextColumn

_EMAIL: Final = re.compile(EMAIL_PATTERN)
_MAX_LOCAL_PART: Final = 64
_US_DATE: Final = re.compile(r"([0-9]{1,2})/([0-9]{1,2})/([0-9]{4})")
_DATE_CHARACTERS: Final = 10
_EPOCH: Final = date(1970, 1, 1)
_DAYS_BEFORE_MONTH: Final = np.array(
    [0, 0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334], np.int32
)
_DAYS_IN_MONTH: Final = np.array([0, 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31], np.int32)
_FEBRUARY, _DECEMBER = 2, 12
_MOBILE_DIGITS: Final = (7, 15)
_TRUE_WORDS: Final = pa.array(sorted(TRUE_WORDS))
_FALSE_WORDS: Final = pa.array(sorted(FALSE_WORDS))
_USA_NAMES: Final = pa.array(sorted(USA_NAMES))
_ZERO, _ONE, _NINE, _PLUS, _MINUS, _AT, _DOT = b"019+-@."
_DELETE: Final = 0x7F


def is_too_long(column: TextColumn, max_characters: int) -> Mask:
    """Return which values have more Unicode characters than that."""
    is_long = column.lengths > max_characters
    if is_long.any():
        is_long[is_long] = [len(value) > max_characters for value in column.values_where(is_long)]
    return is_long


def is_bad_email(column: TextColumn) -> Mask:
    """Return which values :data:`EMAIL_PATTERN` refuses."""
    is_bad = (column.lengths > 0) & ~_is_plain_email(column)
    if is_bad.any():
        is_bad[is_bad] = [_EMAIL.fullmatch(value) is None for value in column.values_where(is_bad)]
    return is_bad


def _is_plain_email(column: TextColumn) -> Mask:
    """Return which values are ASCII with one @ and a dotted domain; False if that is not clear."""
    data, ends = column.data, column.ends
    ats = np.flatnonzero(data == _AT)
    if not len(ats):
        return np.zeros(len(ends), np.bool_)
    rows = column.rows_at(ats)
    at = np.zeros(len(ends), np.int64)
    at[rows] = ats
    local_part = at - column.starts
    is_plain = np.bincount(rows, minlength=len(ends)) == 1
    is_plain &= (local_part > 0) & (local_part <= _MAX_LOCAL_PART)
    is_plain &= (data[np.minimum(at + 1, len(data) - 1)] != _DOT) & (data[ends - 1] != _DOT)
    # A domain ends with two to four letters nearly always.
    has_dot = np.zeros(len(ends), np.bool_)
    for back in (4, 3, 5):
        has_dot |= (data[np.maximum(ends - back, 0)] == _DOT) & (ends - back > at + 1)
    is_plain &= has_dot
    dots = np.flatnonzero(data == _DOT)
    doubled = dots[1:][np.diff(dots) == 1]
    odd = np.flatnonzero((data <= ord(" ")) | (data >= _DELETE))
    is_plain[column.rows_at(doubled)] = False
    is_plain[column.rows_at(odd)] = False
    return is_plain


def lower_cased(column: TextColumn) -> TextColumn:
    """Return the values in lower case, as ``str.lower()`` gives them."""
    if (column.data < 0x80).all():  # noqa: PLR2004 - ASCII
        is_upper = (column.data >= ord("A")) & (column.data <= ord("Z"))
        if not is_upper.any():
            return column
        # In ASCII a letter's case is one bit.
        data = np.where(is_upper, column.data | np.uint8(0x20), column.data)
        return text_column_of_bytes(data, np.append(column.starts, len(data)))
    values = cast("list[str]", column.array.to_pylist())
    encoded = [value.lower().encode() for value in values]
    offsets = np.concatenate(([0], np.cumsum([len(value) for value in encoded])))
    return text_column_of_bytes(np.frombuffer(b"".join(encoded), np.uint8), offsets)


def to_e164(column: TextColumn) -> tuple[TextColumn, Mask]:
    """Return the phone numbers in E.164, and which values are none.

    What people write between digits is taken out, a leading 00 becomes ``+``.
    """
    plain = column
    if not _is_plus_and_digits(column):
        plain = _with_plus(without(column, _PUNCTUATION[column.data]))
    lengths = plain.lengths
    is_good = (lengths > _MOBILE_DIGITS[0]) & (lengths <= _MOBILE_DIGITS[1] + 1)
    if not _is_plus_and_digits(plain):
        others = plain.rows_at(_places_of_others(plain))
        is_good &= np.bincount(others, minlength=len(lengths)) == 1
    if len(plain.data):
        last = len(plain.data) - 1
        second = plain.data[np.minimum(plain.starts + 1, last)]
        is_good &= plain.data[np.minimum(plain.starts, last)] == _PLUS
        is_good &= (second >= _ONE) & (second <= _NINE)
    return plain, (column.lengths > 0) & ~is_good


def _is_plus_and_digits(column: TextColumn) -> bool:
    """Return whether each value is + and then digits only."""
    others = _places_of_others(column)
    heads = column.starts[column.lengths > 0]
    return np.array_equal(others, heads) and bool((column.data[others] == _PLUS).all())


def _places_of_others(column: TextColumn) -> Positions:
    return np.flatnonzero((column.data < _ZERO) | (column.data > _NINE))


_PUNCTUATION: Final = np.array(
    [re.fullmatch(MOBILE_PUNCTUATION, chr(code)) is not None for code in range(256)]
)


def _with_plus(column: TextColumn) -> TextColumn:
    """Return the values with + for a leading 00."""
    rows = np.flatnonzero(column.lengths > 1)
    starts = column.starts[rows]
    starts = starts[(column.data[starts] == _ZERO) & (column.data[starts + 1] == _ZERO)]
    if not len(starts):
        return column
    data = column.data.copy()
    data[starts + 1] = _PLUS
    is_dropped = np.zeros(len(data), np.bool_)
    is_dropped[starts] = True
    return without(text_column_of_bytes(data, np.append(column.starts, len(data))), is_dropped)


def to_days(column: TextColumn) -> tuple[npt.NDArray[np.int32], Mask]:
    """Return the dates as days since 1970-01-01, and which values are none; ISO and US order.

    The day of an empty or bad value means nothing.
    """
    days = np.zeros(len(column.starts), np.int32)
    is_bad = column.lengths > 0
    rows = np.flatnonzero(column.lengths == _DATE_CHARACTERS)
    if len(rows):
        days[rows], is_bad[rows] = _ten_characters_to_days(column, rows)
    rest = is_bad & (column.lengths != _DATE_CHARACTERS)
    if rest.any():
        found = [_us_day(value) for value in column.values_where(rest)]
        days[rest] = [day or 0 for day in found]
        is_bad[rest] = [day is None for day in found]
    return days, is_bad


def _ten_characters_to_days(
    column: TextColumn, rows: Positions
) -> tuple[npt.NDArray[np.int32], Mask]:
    """Read ``MM/DD/YYYY`` and ``YYYY-MM-DD`` by the positions of their characters."""
    if len(column.data) == len(rows) * _DATE_CHARACTERS:
        codes = column.data.reshape(-1, _DATE_CHARACTERS)
    else:
        codes = column.data[column.starts[rows][:, None] + np.arange(_DATE_CHARACTERS)]
    digits = codes.astype(np.int32) - _ZERO
    is_digit = (digits >= 0) & (digits <= 9)  # noqa: PLR2004 - the digits
    is_iso = (codes[:, 4] == ord("-")) & (codes[:, 7] == ord("-"))
    is_us = (codes[:, 2] == ord("/")) & (codes[:, 5] == ord("/"))
    is_iso &= is_digit[:, (0, 1, 2, 3, 5, 6, 8, 9)].all(axis=1)
    is_us &= is_digit[:, (0, 1, 3, 4, 6, 7, 8, 9)].all(axis=1)
    year = np.where(is_iso, _number(digits, 0, 4), _number(digits, 6, 10))
    month = np.where(is_iso, _number(digits, 5, 7), _number(digits, 0, 2))
    day = np.where(is_iso, _number(digits, 8, 10), _number(digits, 3, 5))
    days, is_real = _calendar_days(year, month, day)
    return days, ~((is_iso | is_us) & is_real)


def _number(digits: npt.NDArray[np.int32], start: int, end: int) -> npt.NDArray[np.int32]:
    number = digits[:, start]
    for place in range(start + 1, end):
        number = number * 10 + digits[:, place]
    return number


def _calendar_days(
    year: npt.NDArray[np.int32], month: npt.NDArray[np.int32], day: npt.NDArray[np.int32]
) -> tuple[npt.NDArray[np.int32], Mask]:
    """Return the days since 1970-01-01, and which dates exist; Gregorian, years from 1."""
    is_real = (year >= 1) & (month >= 1) & (month <= _DECEMBER)
    month = np.where(is_real, month, 1)
    is_leap = (year % 4 == 0) & ((year % 100 != 0) | (year % 400 == 0))
    is_real &= (day >= 1) & (day <= _DAYS_IN_MONTH[month] + (is_leap & (month == _FEBRUARY)))
    before = year - 1
    days = before * 365 + before // 4 - before // 100 + before // 400
    days += _DAYS_BEFORE_MONTH[month] + (is_leap & (month > _FEBRUARY)) + day
    return (days - _EPOCH.toordinal()).astype(np.int32), is_real


def _us_day(value: str) -> int | None:
    found = _US_DATE.fullmatch(value)
    if not found:
        return None
    month, day, year = map(int, found.groups())
    try:
        return date(year, month, day).toordinal() - _EPOCH.toordinal()
    except ValueError:
        return None


def iso_dates(days: npt.NDArray[np.int32]) -> pa.StringArray:
    """Return days since 1970-01-01 as ``YYYY-MM-DD``."""
    return cast("pa.StringArray", pa.array(days).view(pa.date32()).cast(pa.string()))


def to_booleans(column: TextColumn) -> tuple[Any, Mask]:
    """Return the booleans, null for an empty or invalid value, and which values are invalid."""
    lowered = pc.ascii_lower(column.array)
    is_true = _is_in(lowered, _TRUE_WORDS)
    is_false = _is_in(lowered, _FALSE_WORDS)
    is_known = is_true | is_false
    return with_nulls(pa.array(is_true), ~is_known), (column.lengths > 0) & ~is_known


@dataclass(frozen=True, slots=True)
class Numbers:
    """Decimal numbers in canonical text; the text of a bad one means nothing."""

    column: TextColumn
    is_bad: Mask
    is_too_large: Mask


def to_numbers(column: TextColumn) -> Numbers:
    """Return the numbers in canonical form: no ``+``, no needless zeros, a digit before a point.

    Neither exponents nor separators of thousands are taken: what ``1,234`` means
    depends on where it was written.
    """
    shape = _shape_of_numbers(column)
    is_odd = (column.lengths > 0) & ~shape.is_plain
    digits = np.where(shape.is_plain, shape.digits, 0)
    canonical = without(column, _is_needless(column, shape))
    is_bad = np.zeros(len(is_odd), np.bool_)
    if is_odd.any():
        found = [canonical_number(value) for value in column.values_where(is_odd)]
        digits[is_odd] = [count for _, count in found]
        is_bad[is_odd] = [not count for _, count in found]
        canonical = with_replaced(canonical, is_odd, [text for text, _ in found])
    return Numbers(canonical, is_bad, digits > MAX_NUMBER_DIGITS)


@dataclass(frozen=True, slots=True)
class _NumberShape:
    """The positions of the parts of each number; valid for plain ones only.

    Plain is a sign or none, digits, and perhaps a point and more of them.
    ``first`` and ``last`` are the significant digits at both ends, of a zero ``first``
    lies beyond its end; ``point`` is where the point is, or the end.
    """

    is_plain: Mask
    body: Positions
    point: Positions
    first: Positions
    last: Positions
    digits: Positions


def _shape_of_numbers(column: TextColumn) -> _NumberShape:
    data, starts, ends = column.data, column.starts, column.ends
    edge = max(len(data) - 1, 0)
    heads = data[np.minimum(starts, edge)] if len(data) else np.zeros(len(starts), np.uint8)
    has_sign = (column.lengths > 0) & ((heads == _PLUS) | (heads == _MINUS))
    body = starts + has_sign
    others = _places_of_others(column)
    is_point = data[others] == _DOT
    points = others[is_point]
    rows_of_points = column.rows_at(points)
    point = ends.copy()
    point[rows_of_points] = points
    # A point between digits, or after them: one before all of them is rare, and odd.
    is_plain = (np.bincount(rows_of_points, minlength=len(ends)) <= 1) & (body < point)
    strange = np.bincount(column.rows_at(others[~is_point]), minlength=len(ends))
    is_plain &= strange == has_sign
    significant = np.flatnonzero((data >= _ONE) & (data <= _NINE))
    bounded = np.concatenate(([-1], significant, [len(data)]))
    first = bounded[np.searchsorted(significant, body) + 1]
    last = bounded[np.searchsorted(significant, ends)]
    digits = np.where(first < ends, last - first + 1 - ((first < point) & (point < last)), 1)
    return _NumberShape(is_plain, body, point, first, last, digits)


def _is_needless(column: TextColumn, shape: _NumberShape) -> Mask:
    """Return which bytes of plain numbers their canonical text leaves out."""
    edges = np.zeros(len(column.data) + 1, np.int8)
    rows = np.flatnonzero(shape.is_plain)
    starts, ends = column.starts[rows], column.ends[rows]
    body, point = shape.body[rows], shape.point[rows]
    first, last = shape.first[rows], shape.last[rows]
    has_minus = (column.data[starts] == _MINUS) & (first < ends)
    whole = np.minimum(first, point - 1)
    fraction_end = np.where(point < ends, np.maximum(last + 1, point), ends)
    for begin, end in (
        (np.where(has_minus, body, starts), body),
        (body, whole),
        (fraction_end, ends),
    ):
        is_cut = begin < end
        edges[begin[is_cut]] += 1
        edges[end[is_cut]] -= 1
    return np.cumsum(edges[:-1], dtype=np.int8).view(np.bool_)


def is_usa(countries: TextColumn) -> Mask:
    """Return the countries with which a state is required."""
    return _is_in(pc.ascii_lower(countries.array), _USA_NAMES)


def _is_in(array: Any, words: pa.StringArray) -> Mask:
    found = cast("Any", pc.is_in(array, value_set=words))
    return cast("Mask", found.to_numpy(zero_copy_only=False))
