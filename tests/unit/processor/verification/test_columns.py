"""Columns of numbers stand for columns of values: hashes, the table of keys, rows from COPY."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from processor.verification.attribute_text import canonical, canonical_of_json, merged, tokens_of
from processor.verification.key_index import KeyIndex
from processor.verification.staged import rounds
from processor.verification.user_columns import UserColumns
from schemas.read_model.column_hashes import hashes, text_hash
from schemas.read_model.copy_csv import CopiedRows, copied_columns
from schemas.rules.attributes import Attribute

_texts = st.lists(st.one_of(st.none(), st.text(max_size=40)), max_size=60)


@given(texts=_texts, begin=st.integers(0, 10))
def test_equal_values_and_only_they_have_equal_hashes(texts: list[str | None], begin: int) -> None:
    """Also in a slice of a column, and alone; null is 0."""
    found = hashes(pa.array(texts, pa.string()).slice(begin)).tolist()
    chosen = texts[begin:]
    assert [number == 0 for number in found] == [text is None for text in chosen]
    assert len(set(zip(chosen, found, strict=True))) == len(set(chosen)) == len(set(found))
    assert found == [0 if text is None else text_hash(text) for text in chosen]


@given(batches=st.lists(st.lists(st.integers(0, 2**64 - 1), unique=True, max_size=700), max_size=6))
def test_a_key_is_found_where_it_was_put(batches: list[list[int]]) -> None:
    """Whatever the order, and however much the table has grown."""
    index, expected = KeyIndex(), dict[int, int]()
    for batch in batches:
        new = [key for key in batch if key not in expected]
        slots = np.arange(len(expected), len(expected) + len(new))
        index.add(np.array(new, np.uint64), slots)
        expected |= dict(zip(new, slots.tolist(), strict=True))
        wanted = [*expected, 12345, 0]
        found = index.find(np.array(wanted, np.uint64)).tolist()
        assert found == [expected.get(key, -1) for key in wanted]


@given(keys=st.lists(st.integers(0, 5), max_size=40))
def test_a_round_has_each_key_once(keys: list[int]) -> None:
    """The number of times that it came before."""
    expected = [keys[:at].count(key) for at, key in enumerate(keys)]
    assert rounds(np.array(keys, np.uint64)).tolist() == expected


_rows = st.lists(
    st.tuples(
        st.integers(-(2**63), 2**63 - 1),
        st.one_of(st.none(), st.text(st.characters(codec="utf-8", exclude_characters="\0"))),
        st.one_of(st.none(), st.dates()),
    ),
    max_size=30,
)


@given(rows=_rows)
def test_rows_of_a_copy_come_as_they_were(rows: list[tuple[int, str | None, Any]]) -> None:
    """With quotes, delimiters and line breaks in them; an empty text is not a null."""
    types = {"number": pa.int64(), "text": pa.string(), "day": pa.date32()}
    text = b"".join(map(_csv_line, rows))
    parts = copied_columns([CopiedRows(text, len(rows))] if rows else [], types)
    found = [tuple(row.values()) for part in parts for row in part.to_pylist()]
    assert found == rows


def _csv_line(row: tuple[int, str | None, Any]) -> bytes:
    """As Postgres writes it: a null is nothing, every text may be quoted."""
    cells = ["" if value is None else '"' + str(value).replace('"', '""') + '"' for value in row]
    return (",".join(cells) + "\n").encode()


def test_slots_of_users_that_are_gone_are_given_back() -> None:
    """The others keep their values, and are found under their keys."""
    users, count = UserColumns(), 40_000
    keys = np.arange(1, count + 1, dtype=np.uint64)
    slots = users.make_slots(count)
    users.index.add(keys, slots)
    users.alive[slots] = True
    users.plain["key"][slots] = keys
    users.plain["id"][slots] = slots * 2
    users.attributes = {count - 1: {"tier": '"gold"'}}
    users.alive[: count - 10] = False
    users.tidy()
    assert (users.size, users.users) == (10, 10)
    found, is_there = users.find(keys)
    assert np.flatnonzero(is_there).tolist() == list(range(count - 10, count))
    kept = found[is_there]
    assert users.plain["id"][kept].tolist() == [at * 2 for at in range(count - 10, count)]
    assert users.attributes == {int(kept[-1]): {"tier": '"gold"'}}


def test_attributes_have_one_text_on_both_sides() -> None:
    """From an event's pairs, and from what Postgres prints of the stored object."""
    known = Attribute("score", "number"), Attribute("vip", "boolean"), Attribute("tier", "string")
    defined = {attribute.name: attribute for attribute in known}
    pairs = [("tier", 'a "b" \\ ü'), ("score", "0.5"), ("vip", "true"), ("gone", None)]
    text = canonical(merged({"gone": "1"}, tokens_of(pairs, defined)))
    assert text == canonical_of_json('{"vip": true, "tier": "a \\"b\\" \\\\ ü", "score": 0.5}')
    assert canonical_of_json('{"score": "0.5"}') != canonical_of_json('{"score": 0.5}')
