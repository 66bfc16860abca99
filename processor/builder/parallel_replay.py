"""Replays a long log in two processes, each with its share of the partitions.

They are to each other what live workers are: each claims its own partitions, and the
first one that meets a delsert makes its generation for all.
Two threads would share one interpreter's lock, and take half as long again.

What is left afterwards, or was little from the start, is replayed by this process alone.
Where the other one dies, this one goes on with all.
"""

from __future__ import annotations

import logging
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import structlog

from processor.builder.replay import Replay
from processor.errors import OtherProcessDiedError
from processor.runtime.child_process import OtherProcess, shared_number
from schemas.config.logs import configure_logging

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from multiprocessing.sharedctypes import Synchronized

    from schemas.config.settings import Settings

_WORTH_SHARING: Final = 100_000
"""Records; of fewer, starting a process takes longer than it saves."""
_POLL_S: Final = 0.1
_log = structlog.stdlib.get_logger("rollcall.replay")


class Replays:
    """A replay of all partitions; it may go on to a later stop again and again."""

    def __init__(self, settings: Settings, schema: str, *, reverted: frozenset[int]) -> None:
        level = logging.getLogger("rollcall").getEffectiveLevel()
        self._plan = _Plan(settings, schema, reverted, level)
        self._alone: Replay | None = None

    def close(self) -> None:
        """End the session; what was not committed is rolled back."""
        if self._alone is not None:
            self._alone.close()

    def run(
        self,
        stop_at: Sequence[int],
        on_progress: Callable[[int], None],
        should_stop: Callable[[], bool],
    ) -> bool:
        """Project up to ``stop_at``, as :meth:`processor.builder.replay.Replay.run` does."""
        if self._alone is None:
            is_long = len(stop_at) > 1 and sum(stop_at) >= _WORTH_SHARING
            if is_long and not self._run_shared(stop_at, on_progress, should_stop):
                return False
            self._alone = self._plan.replay(range(len(stop_at)))
        return self._alone.run(stop_at, on_progress, should_stop)

    def _run_shared(
        self,
        stop_at: Sequence[int],
        on_progress: Callable[[int], None],
        should_stop: Callable[[], bool],
    ) -> bool:
        others_done, ending = shared_number(), shared_number()
        own_done = 0

        def note(done: int) -> None:
            nonlocal own_done
            own_done = done
            on_progress(own_done + others_done.value)

        with OtherProcess(
            _run_other, self._plan, range(1, len(stop_at), 2), stop_at, others_done, ending
        ) as other:
            try:
                with closing(self._plan.replay(range(0, len(stop_at), 2))) as own:
                    is_there = own.run(stop_at, note, lambda: should_stop() or other.has_failed)
                while not other.is_done_within(_POLL_S) and not should_stop():
                    note(own_done)
            finally:
                ending.value = 1  # told to stop, or failed: the other one ends too
            try:
                return other.result() and is_there
            except OtherProcessDiedError as error:
                _log.warning("going on alone", reason=str(error))
                return True


@dataclass(frozen=True, slots=True)
class _Plan:
    """The tables and settings of a replay; travels to the other process."""

    settings: Settings
    schema: str
    reverted: frozenset[int]
    log_level: int

    def replay(self, partitions: Sequence[int]) -> Replay:
        """Return a replay of these partitions."""
        return Replay(self.settings, self.schema, reverted=self.reverted, partitions=partitions)


def _run_other(
    plan: _Plan,
    partitions: Sequence[int],
    stop_at: Sequence[int],
    done: Synchronized[int],
    ending: Synchronized[int],
) -> bool:
    def note(offsets: int) -> None:
        done.value = offsets

    configure_logging(plan.log_level)
    with closing(plan.replay(partitions)) as replay:
        return replay.run(stop_at, note, lambda: ending.value == 1)
