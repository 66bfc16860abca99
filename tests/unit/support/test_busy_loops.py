"""The processes beside which the tests must pass."""

from __future__ import annotations

from tests.support.servers.busy_loops import busy_loops


def test_busy_loops_run_until_they_are_ended() -> None:
    """Four of them; none is left behind."""
    with busy_loops() as loops:
        assert [loop.poll() for loop in loops] == [None] * 4
    assert all(loop.poll() is not None for loop in loops)
