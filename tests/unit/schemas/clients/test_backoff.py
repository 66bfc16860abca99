"""Pauses between attempts: longer each time, up to a bound, and short again after a success."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.clients.backoff import Backoff, Pauses

pytestmark = pytest.mark.unit
_BACKOFF = Backoff(first_s=0.5, longest_s=3.0)


def test_pauses_double_up_to_the_longest() -> None:
    """And stay there."""
    assert [_BACKOFF.pause_s(failures) for failures in range(1, 6)] == [0.5, 1.0, 2.0, 3.0, 3.0]


@given(failures=st.integers(1, 10**9), jitter=st.floats(0, 1))
def test_jitter_takes_away_half_at_most(failures: int, jitter: float) -> None:
    """However many failures there were, the pause is bounded from both sides."""
    whole = _BACKOFF.pause_s(failures)
    assert whole / 2 <= _BACKOFF.pause_s(failures, jitter=jitter) <= whole <= 3.0


def test_after_a_success_pauses_are_short_again() -> None:
    """A loop that went well is not punished for what failed before."""
    pauses = Pauses(_BACKOFF)
    assert [pauses.next_s() for _ in range(10)][-1] >= 1.5
    pauses.reset()
    assert pauses.next_s() <= 0.5
