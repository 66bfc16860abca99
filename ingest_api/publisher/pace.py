"""Keeps the publisher near the processors.

What is appended behind the rows of jobs, as a single write is, is applied behind them: it would
wait for all jobs that are accepted, were they published as fast as Kafka takes them.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from ingest_api.errors import LogUnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable

    from ingest_api.publisher.consumer_lag import ConsumerLag

MOST_AHEAD: Final = 60_000
"""So many records may wait in `user-events`: three batches of each of two processors."""
_STANDS_S: Final = 5.0
_LOOK_EVERY_S: Final = 0.1


class Pace:
    """Holds rows back while as many records wait as processors need to be busy.

    A partition whose offset stands still counts for nothing: its processor is away, or it waits
    for a schema, and no other record comes sooner where rows wait for it.
    """

    def __init__(self, lag: ConsumerLag) -> None:
        self._lag = lag
        self._room = 0
        self._applied: list[int] = []
        self._moved_at_s: list[float] = []

    def wait(self, rows: int, under_way: Callable[[], int], checkpoint: Callable[[], None]) -> None:
        """Return once so many more rows may be queued; ``checkpoint`` may end the wait by raising.

        ``under_way`` returns how many are queued and not acknowledged.
        """
        needed = min(rows, MOST_AHEAD)
        while self._room < needed:
            self._room = MOST_AHEAD - under_way() - self._waiting()
            if self._room < needed:
                checkpoint()
                time.sleep(_LOOK_EVERY_S)
        self._room -= rows

    def _waiting(self) -> int:
        """Return how many records wait to be applied, where any are applied."""
        try:
            ends, applied = self._lag.ends(), self._lag.next_offsets()
        except LogUnavailableError:
            return 0  # whoever appends meets that, too
        now_s = time.monotonic()
        if not self._applied:
            self._applied, self._moved_at_s = applied, [now_s] * len(applied)
        waiting = 0
        for partition, (end, offset) in enumerate(zip(ends, applied, strict=True)):
            if offset != self._applied[partition]:
                self._applied[partition], self._moved_at_s[partition] = offset, now_s
            if now_s - self._moved_at_s[partition] < _STANDS_S:
                waiting += max(0, end - offset)
        return waiting
