"""A file's keys compared with an audience by their hashes: as sets of the keys themselves would."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from ingest_api.validation import key_hashes
from ingest_api.validation.key_hashes import KeyHashes
from schemas.read_model.column_hashes import text_hashes

if TYPE_CHECKING:
    import pytest

_KEYS = st.lists(st.tuples(st.sampled_from("abcdefgh"), st.booleans()), max_size=6)


@given(blocks=st.lists(_KEYS, max_size=4), users=st.sets(st.sampled_from("abcdefghijk")))
def test_hashes_tell_what_keys_tell(blocks: list[list[tuple[str, bool]]], users: set[str]) -> None:
    """How many users valid lines name, and how many keys those lines have."""
    hashes = KeyHashes("delsert")
    for block in blocks:
        keys = pa.array([key for key, _ in block], pa.string())
        hashes.add(keys, np.array([is_valid for _, is_valid in block], np.bool_))
    valid = [key for block in blocks for key, is_valid in block if is_valid]
    found = hashes.compare(text_hashes(pa.array(sorted(users), pa.string())))
    assert found == (len(users & {*valid}), len({*valid}))
    assert hashes.lines == len(valid)


def test_more_keys_than_are_held_are_let_go(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that memory does not grow with the file."""
    monkeypatch.setattr(key_hashes, "MOST_HASHES", 3)
    hashes = KeyHashes("delsert")
    two = pa.array(["a", "b"], pa.string())
    hashes.add(two, np.array([True, True]))
    assert hashes.are_all
    hashes.add(two, np.array([True, True]))
    assert not hashes.are_all
