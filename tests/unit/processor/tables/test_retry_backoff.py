"""When a build that failed is tried again."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from processor.tables.retry_backoff import FIRST_PAUSE_S, LONGEST_PAUSE_S, pause_s


def test_the_first_pause_is_short_and_each_is_twice_the_one_before() -> None:
    """Most causes are gone soon, and a build that fails is dear."""
    assert [pause_s(failures) for failures in (1, 2, 3)] == [
        FIRST_PAUSE_S,
        2 * FIRST_PAUSE_S,
        4 * FIRST_PAUSE_S,
    ]


@given(st.integers(1, 10**9))
def test_no_pause_is_longer_than_the_longest_or_shorter_than_the_one_before(failures: int) -> None:
    """However often it has failed."""
    assert pause_s(failures) <= pause_s(failures + 1) <= LONGEST_PAUSE_S
