"""Decides how long to wait before something that failed is tried again: each time longer."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Final

_MOST_DOUBLED: Final = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Backoff:
    """Pauses that double, from ``first_s`` up to ``longest_s`` seconds."""

    first_s: float
    longest_s: float

    def pause_s(self, failures: int, *, jitter: float = 0.0) -> float:
        """Return the pause after so many failures in a row, at least one.

        ``jitter`` from 0 to 1 takes away up to half of it, so that those who failed together do
        not come again together.
        """
        doubled = self.first_s * 2 ** min(failures - 1, _MOST_DOUBLED)
        return min(doubled, self.longest_s) * (1 - jitter / 2)


class Pauses:
    """The pauses of one loop: longer with each failure, and short again after a success."""

    def __init__(self, backoff: Backoff) -> None:
        self._backoff = backoff
        self._failures = 0

    def next_s(self) -> float:
        """Count one more failure; return how long to wait."""
        self._failures += 1
        return self._backoff.pause_s(self._failures, jitter=random.random())  # noqa: S311 - no secret

    def reset(self) -> None:
        """Begin anew: it went well."""
        self._failures = 0
