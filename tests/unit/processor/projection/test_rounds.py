"""Rows of a batch with one key are applied one after another, in the order of the log."""

from __future__ import annotations

import pyarrow as pa

from processor.projection.staging import rounds


def test_each_row_of_a_key_is_in_the_round_after_the_one_before_it() -> None:
    """Whatever comes between them; rows with other keys are in the first."""
    keys: pa.StringArray = pa.array(["a", "b", "a", "c", "b", "a"])
    assert rounds(keys).tolist() == [0, 0, 1, 0, 1, 2]


def test_rows_of_different_keys_are_one_round() -> None:
    """So a batch without repeats is one statement."""
    keys: pa.StringArray = pa.array(["b", "a", "c"])
    assert rounds(keys).tolist() == [0, 0, 0]
