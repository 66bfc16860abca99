"""A long log replayed by several replays side by side, each with its share of the partitions.

They are to each other what live workers are: each claims its own partitions, and the
first one that meets a delsert makes its generation for all.
While one waits for Postgres or Kafka, another one decodes.
"""

from __future__ import annotations

import queue
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Final

from processor.replay import Replay

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from concurrent.futures import Future

    from schemas.settings import Settings

    _Told = queue.SimpleQueue[tuple[int, int] | Future[bool]]
    """What one has committed: (which, offsets behind it); or that one has ended."""

_SHARES: Final = 2
_WORTH_SHARING: Final = 100_000
"""Records; of fewer, connecting twice takes longer than it saves."""


class Replays:
    """Replays of all partitions; they may go on to a later stop again and again."""

    def __init__(self, settings: Settings, schema: str, *, reverted: frozenset[int]) -> None:
        self._settings = settings
        self._schema = schema
        self._reverted = reverted
        self._replays: list[Replay] = []
        self._done: list[int] = []

    def close(self) -> None:
        """End the sessions; what was not committed is rolled back."""
        for replay in self._replays:
            replay.close()

    def run(
        self,
        stop_at: Sequence[int],
        on_progress: Callable[[int], None],
        should_stop: Callable[[], bool],
    ) -> bool:
        """Project up to ``stop_at``, as :meth:`processor.replay.Replay.run` does.

        ``on_progress`` is called by this thread alone, ``should_stop`` by others.
        """
        self._begin(sum(stop_at))
        if len(self._replays) == 1:
            return self._replays[0].run(stop_at, on_progress, should_stop)
        with ThreadPoolExecutor(len(self._replays)) as pool:
            told: _Told = queue.SimpleQueue()
            is_over = threading.Event()
            futures = [
                pool.submit(
                    self._run, share, stop_at, told, lambda: is_over.is_set() or should_stop()
                )
                for share in range(len(self._replays))
            ]
            for future in futures:
                future.add_done_callback(told.put)
            try:
                self._pass_on(told, on_progress)
            finally:
                is_over.set()  # where one has failed, or the caller, the others end too
        reached = [future.result() for future in futures]
        return all(reached)

    def _pass_on(self, told: _Told, on_progress: Callable[[int], None]) -> None:
        """Until each replay has ended, or one has failed."""
        running = len(self._replays)
        while running:
            match told.get():
                case share, done:
                    self._done[share] = done
                    on_progress(sum(self._done))
                case future:
                    running = 0 if future.exception() else running - 1

    def _begin(self, records: int) -> None:
        if self._replays:
            return
        partitions = self._settings.topics.user_events.partitions
        shares = min(_SHARES, partitions) if records >= _WORTH_SHARING else 1
        self._done = [0] * shares
        for share in range(shares):
            self._replays.append(
                Replay(
                    self._settings,
                    self._schema,
                    reverted=self._reverted,
                    partitions=range(share, partitions, shares),
                )
            )

    def _run(
        self, share: int, stop_at: Sequence[int], told: _Told, should_stop: Callable[[], bool]
    ) -> bool:
        def note(done: int) -> None:
            told.put((share, done))

        return self._replays[share].run(stop_at, note, should_stop)
