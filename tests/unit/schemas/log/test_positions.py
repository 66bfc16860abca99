"""A place in the log as one number, and back; in SQL as in Python."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.config.settings import MAX_PARTITIONS
from schemas.log.positions import OFFSET_BITS, partition_sql, place_of, position_of
from schemas.read_model.tables import ddl

pytestmark = pytest.mark.unit
_PARTITIONS = st.integers(0, MAX_PARTITIONS - 1)
_OFFSETS = st.integers(0, 2**OFFSET_BITS - 1)


def test_the_first_record_makes_user_1() -> None:
    """No position is 0, and partitions lie 2**48 apart: ids that are out there never change."""
    assert (position_of(0, 0), position_of(1, 0), position_of(1, 2)) == (1, 2**48 + 1, 2**48 + 3)


@given(partition=_PARTITIONS, offset=_OFFSETS)
def test_a_position_says_its_place(partition: int, offset: int) -> None:
    """To the last offset that there is room for, and below 2**60."""
    position = position_of(partition, offset)
    assert place_of(position) == (partition, offset)
    assert 0 < position <= 2**60


def test_the_tables_take_positions_apart_in_the_same_way() -> None:
    """The column that is generated from one has the formula that stands here."""
    generated = re.findall(r"GENERATED ALWAYS AS \((.*)\) STORED", ddl())
    assert partition_sql("position") in {f"({each})" for each in generated}
