"""Waiting for a fact, never for a time."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

_T = TypeVar("_T")
_LEAST_S: Final = 60.0
"""No wait is given up before: that a fact comes is asserted, never how soon on a busy machine."""


def wait_until(
    predicate: Callable[[], _T], timeout_s: float, *, saying: str = "", every_s: float = 0.02
) -> _T:
    """The first true value of the predicate.

    Blocks while it is false; what the predicate raises goes through.

    Raises:
        TimeoutError: it was still false after ``timeout_s``, or a minute where that is less.
    """
    timeout_s = max(timeout_s, _LEAST_S)
    deadline = time.monotonic() + timeout_s
    while True:
        if value := predicate():
            return value
        if time.monotonic() > deadline:
            raise TimeoutError(f"not within {timeout_s} s: {saying or predicate}")
        time.sleep(every_s)
