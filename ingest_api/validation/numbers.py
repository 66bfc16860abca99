"""Decimal numbers of whole columns, in canonical text."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from ingest_api.parsing.columns import with_replaced, without
from schemas.rules.attributes import MAX_NUMBER_DIGITS, canonical_number

if TYPE_CHECKING:
    from ingest_api.parsing.columns import Mask, Positions, TextColumn

_ZERO, _ONE, _NINE, _PLUS, _MINUS, _DOT = b"019+-."
_OTHERS: Final = np.ones(256, np.bool_)
_OTHERS[_ZERO : _NINE + 1] = False


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
    others = np.flatnonzero(_OTHERS[data])
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
