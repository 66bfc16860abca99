"""A log in memory driven through the projector's own thread, as a worker's consumer does it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from processor.pipeline.prepare_batch import prepare_batch
from processor.pipeline.projector_thread import (
    Broken,
    Claim,
    Claimed,
    Lost,
    Project,
    Projected,
    Projector,
)
from tests.support.servers.surroundings import PARTITIONS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from processor.decoding.accept_rule import PartitionState
    from processor.pipeline.projector_thread import Outcome
    from processor.projection.projection import PreparedBatch
    from tests.support.data.passes import MemoryLog
    from tests.support.data.projection_scene import Scene, Worker

_TIMEOUT_S = 60.0


class ProjectorDriver:
    """Hands over batches two at a time, so that one is decided before the other is written."""

    def __init__(self, scene: Scene) -> None:
        worker: Worker = scene.worker()
        self._log: MemoryLog = scene.log
        self.projection = worker.projection
        self._projector = Projector(worker.session, worker.projection)
        self.claims = 0

    def run(self, sizes: Sequence[int]) -> None:
        """Project the log to its end, so many records of each partition at a time."""
        self._projector.start()
        try:
            while not self._is_at_end(states := self._claim()):
                self._project(states, sizes)
        finally:
            self._projector.stop(10)
        assert not self._projector.is_alive()

    def _claim(self) -> dict[int, PartitionState]:
        self.claims += 1
        self._projector.tasks.put(Claim(list(range(PARTITIONS))))
        match self._outcome():
            case Claimed(states):
                return states
            case other:
                raise AssertionError(f"not claimed: {other}")

    def _project(self, states: dict[int, PartitionState], sizes: Sequence[int]) -> None:
        """Go on until nothing is left, or what was handed over is lost."""
        while not self._is_at_end(states):
            tasks = [task for _ in range(2) if (task := self._task(states, sizes))]
            for task in tasks:
                self._projector.tasks.put(task)
            outcomes = [self._outcome() for _ in tasks]
            if any(isinstance(outcome, Lost) for outcome in outcomes):
                return
            assert all(isinstance(outcome, Projected) for outcome in outcomes)

    def _task(self, states: dict[int, PartitionState], sizes: Sequence[int]) -> Project | None:
        batches: list[PreparedBatch] = []
        for partition, size in enumerate(sizes):
            begin = states[partition].next_offset
            if records := self._log.partitions[partition][begin : begin + size]:
                first_step = sum(len(prepared.steps) for prepared in batches)
                prepared, _ = prepare_batch(
                    self._projector.projection, states[partition], records, first_step=first_step
                )
                batches.append(prepared)
                states[partition] = prepared.after
        return Project(batches) if batches else None

    def _outcome(self) -> Outcome:
        outcome = self._projector.outcomes.get(timeout=_TIMEOUT_S)
        if isinstance(outcome, Broken):
            raise outcome.error
        return outcome

    def _is_at_end(self, states: dict[int, PartitionState]) -> bool:
        return all(
            states[partition].next_offset == len(records)
            for partition, records in enumerate(self._log.partitions)
        )
