"""Waiting for a fact, never for a time."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

_T = TypeVar("_T")
_LEAST_S: Final = 120.0
"""No wait is given up before: that a fact comes is asserted, never how soon on a busy machine."""
_PAUSE_GROWTH: Final = 1.1
_MOST_PAUSES: Final = 6


def wait_until(
    predicate: Callable[[], _T], timeout_s: float, *, saying: str = "", every_s: float = 0.02
) -> _T:
    """The first true value of the predicate.

    Blocks while it is false; what the predicate raises goes through.
    The pauses grow from ``every_s`` to some times that: who asks all the time is waited for.

    Raises:
        TimeoutError: it was still false after ``timeout_s``, or two minutes where that is less.
    """
    timeout_s = max(timeout_s, _LEAST_S)
    deadline = time.monotonic() + timeout_s
    pause_s = every_s
    while True:
        if value := predicate():
            return value
        if time.monotonic() > deadline:
            raise TimeoutError(f"not within {timeout_s} s: {saying or predicate}")
        time.sleep(pause_s)
        pause_s = min(pause_s * _PAUSE_GROWTH, every_s * _MOST_PAUSES)
