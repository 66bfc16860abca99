"""Turns the custom attributes of many rows into JSON objects, column by column.

In events each value is text in the canonical form of its type, so a number or a
boolean is its own JSON.  One attribute at a time is converted for all rows and the
pieces are joined, without a Python object a row.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute

from schemas.rules.attributes import CANONICAL_NUMBER

if TYPE_CHECKING:
    from collections.abc import Mapping

    from schemas.rules.attributes import Attribute

pc: Any = pyarrow.compute
_BARE: Final = {"number": CANONICAL_NUMBER, "boolean": "^(true|false)$"}
_NO_ATTRIBUTE: Final = pa.scalar("{}", pa.string())
_MUST_BE_ESCAPED: Final = r"[\x00-\x1f]"


def attributes_json(
    attributes: Any,
    defined: Mapping[str, Attribute],
    *,
    clears: Literal["something", "nothing"] = "something",
) -> pa.Array[Any]:
    """Return the JSON object of each row of a map column of texts.

    A null value, which clears an attribute, becomes null; where it ``clears`` nothing it is left
    out.
    """
    rows = len(attributes)
    offsets = attributes.offsets.to_numpy()
    begin, pairs = int(offsets[0]), int(offsets[-1] - offsets[0])
    if not pairs:
        return pa.repeat(_NO_ATTRIBUTE, rows)
    # A slice of a map has the whole array's keys and items.
    keys, items = attributes.keys.slice(begin, pairs), attributes.items.slice(begin, pairs)
    row_of = np.repeat(np.arange(rows), np.diff(offsets))
    names = pc.dictionary_encode(keys)
    codes = names.indices.to_numpy()
    is_kept = np.ones(len(items), np.bool_)
    if clears == "nothing":
        is_kept = np.asarray(pc.is_valid(items))
    columns: list[pa.Array[Any]] = []
    for code, name in enumerate(names.dictionary.to_pylist()):
        chosen = np.flatnonzero((codes == code) & is_kept)
        values = _json_values(items.take(pa.array(chosen)), _type_of(defined, name))
        named = pc.binary_join_element_wise(f",{json.dumps(name)}:", values, "")
        columns.append(_by_row(named, row_of[chosen], rows))
    joined = pc.binary_join_element_wise(*columns, "", null_handling="replace", null_replacement="")
    inner = pc.utf8_slice_codeunits(joined, start=1)
    return pc.binary_join_element_wise("{", inner, "}", "")


def _type_of(defined: Mapping[str, Attribute], name: str) -> str:
    """Return the attribute's type; string where it is undefined, which must not stop the log."""
    attribute = defined.get(name)
    return attribute.type if attribute else "string"


def _by_row(named: Any, row_of: Any, rows: int) -> pa.Array[Any]:
    """Return the texts at their rows, null elsewhere; the last of a name that a row has twice."""
    place = np.full(rows, -1, np.int64)
    place[row_of] = np.arange(len(named))
    return named.take(pa.array(place, mask=place < 0))


def _json_values(texts: pa.Array[Any], attribute_type: str) -> pa.Array[Any]:
    quoted = _quoted(texts)
    pattern = _BARE.get(attribute_type)
    if pattern is not None:
        # Jobs' rows are not checked again; a text that is no such value must not break the COPY.
        is_bare = pc.match_substring_regex(texts, pattern)
        quoted = pc.if_else(is_bare, texts, quoted)
    return pc.fill_null(quoted, "null")


def _quoted(texts: pa.Array[Any]) -> pa.Array[Any]:
    if pc.any(pc.match_substring_regex(texts, _MUST_BE_ESCAPED)).as_py():
        values = texts.to_pylist()
        return pa.array([None if value is None else json.dumps(value) for value in values])
    escaped = pc.replace_substring(texts, "\\", "\\\\")
    return pc.binary_join_element_wise('"', pc.replace_substring(escaped, '"', '\\"'), '"', "")
