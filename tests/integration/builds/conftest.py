"""Replays of logs that are small enough to be written in a test."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from processor.builder import parallel_replay, replay
from tests.support.data.replay_stage import Stage

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.support.data.passes import MemoryLog
    from tests.support.servers.surroundings import Ground


@pytest.fixture
def shared_work(monkeypatch: pytest.MonkeyPatch) -> None:
    """Replays are shared by two processes, as those of a long log."""
    monkeypatch.setattr(parallel_replay, "_WORTH_SHARING", 0)


@pytest.fixture
def staged(env: Ground) -> Iterator[Callable[[MemoryLog], Stage]]:
    """Puts a log on stage."""
    made: list[Stage] = []

    def stage(log: MemoryLog) -> Stage:
        made.append(Stage.of(env, log))
        return made[-1]

    yield stage
    for each in made:
        each.close()


@pytest.fixture
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    """Replays write at most 50 records at once."""
    monkeypatch.setattr(replay, "_MAX_BATCH", 50)
