"""Applies the rules of `schemas.rules.fields` to whole columns: lengths, cases, words.

Each function takes trimmed values and validates only those that are not empty.
Cells of a usual shape are validated by numpy from their bytes; the few others one
by one, by the patterns themselves.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, cast

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ingest_api.parsing.columns import text_column_of_bytes, with_nulls
from ingest_api.validation.faults import value_faults
from schemas.rules.attributes import plain_name
from schemas.rules.characters import hidden_fault
from schemas.rules.fields import (
    FALSE_WORDS,
    FIRST_FALSE_WORDS,
    FIRST_TRUE_WORDS,
    OPTED_IN_WORDS,
    OPTED_OUT_WORDS,
    TRUE_WORDS,
    USA_NAMES,
)

if TYPE_CHECKING:
    from ingest_api.parsing.columns import Mask, TextColumn
    from ingest_api.validation.faults import ValueFault
    from schemas.rules.value_rules import ValueRules

_FIRST_WORDS: Final = (pa.array(sorted(FIRST_TRUE_WORDS)), pa.array(sorted(FIRST_FALSE_WORDS)))
_WORDS: Final = (pa.array(sorted(TRUE_WORDS)), pa.array(sorted(FALSE_WORDS)))
_CONSENT_WORDS: Final = tuple(
    pa.array(sorted(map(plain_name, words))) for words in (OPTED_IN_WORDS, OPTED_OUT_WORDS)
)
_USA_NAMES: Final = pa.array(sorted(USA_NAMES))
_BLANK, _DELETE = 0x20, 0x7F


def is_too_long(column: TextColumn, max_characters: int) -> Mask:
    """Return which values have more Unicode characters than that."""
    is_long = column.lengths > max_characters
    if is_long.any():
        is_long[is_long] = [len(value) > max_characters for value in column.values_where(is_long)]
    return is_long


def hidden_faults(column: TextColumn) -> list[ValueFault]:
    """Return which values hold a character that nobody sees, and which one."""
    odd = np.flatnonzero((column.data < _BLANK) | (column.data >= _DELETE))
    if not len(odd):
        return []
    is_odd = np.zeros(len(column.starts), np.bool_)
    is_odd[column.rows_at(odd)] = True
    return value_faults(is_odd, map(hidden_fault, column.values_where(is_odd)))


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


def to_booleans(column: TextColumn, rules: ValueRules) -> tuple[Any, Mask]:
    """Return the booleans, null for an empty or invalid value, and which values are invalid."""
    return _read_words(column, rules, _words(rules))


def to_opposites(column: TextColumn, rules: ValueRules) -> tuple[Any, Mask]:
    """Return what a column that says who has opted out says of a subscription: yes is false.

    Words for consent, such as unsubscribed, say there what they say anywhere.
    """
    return _read_words(column, rules, _words(rules)[::-1])


def _words(rules: ValueRules) -> tuple[pa.StringArray, ...]:
    return _FIRST_WORDS if rules.are_first else _WORDS


def _read_words(
    column: TextColumn, rules: ValueRules, words: tuple[pa.StringArray, ...]
) -> tuple[Any, Mask]:
    true_words, false_words = words
    lowered = pc.ascii_lower(column.array)
    is_true = _is_in(lowered, true_words)
    is_known = is_true | _is_in(lowered, false_words)
    is_bad = (column.lengths > 0) & ~is_known
    if is_bad.any() and not rules.are_first:
        plain = pc.replace_substring_regex(lowered.filter(pa.array(is_bad)), r"[\s_-]+", "")
        is_true[is_bad], is_out = (_is_in(plain, words) for words in _CONSENT_WORDS)
        is_known[is_bad] = is_true[is_bad] | is_out
        is_bad &= ~is_known
    return with_nulls(pa.array(is_true), ~is_known), is_bad


def is_usa(countries: TextColumn) -> Mask:
    """Return the countries with which a state is required."""
    return _is_in(pc.ascii_lower(countries.array), _USA_NAMES)


def _is_in(array: Any, words: pa.StringArray) -> Mask:
    found = cast("Any", pc.is_in(array, value_set=words))
    return cast("Mask", found.to_numpy(zero_copy_only=False))
