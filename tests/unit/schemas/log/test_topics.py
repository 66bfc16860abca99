"""A key has one partition, in any language."""

from __future__ import annotations

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.log.topics import murmur2, partition_of, partitions_of


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        (b"21", -973932308),
        (b"foobar", -790332482),
        (b"a-little-bit-long-string", -985981536),
        (b"a-little-bit-longer-string", -1486304829),
        (b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971),
        (b"abc", 479470107),
    ],
)
def test_murmur2_is_javas(key: bytes, expected: int) -> None:
    """The values of Kafka's own test (UtilsTest.testMurmur2)."""
    assert murmur2(key) == expected % 2**32


@given(st.lists(st.text(st.characters(exclude_categories=("Cs",)))), st.integers(1, 4096))
def test_all_at_once_is_one_by_one(keys: list[str], partitions: int) -> None:
    """The columnar hash agrees with the plain one, for any Unicode and any slice."""
    array = pa.array(["x", *keys], pa.string()).slice(1)
    expected = [partition_of(key.encode(), partitions) for key in keys]
    assert partitions_of(array, partitions).tolist() == expected
