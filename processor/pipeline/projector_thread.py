"""The thread that writes to Postgres: claims and batches, one after another.

It decides nothing: the consumer's thread hands it a task, and reads the
outcome from ``outcomes``.  A failure is always :class:`Lost`: nothing is tried
again here, because only a new claim tells what was committed.
"""

from __future__ import annotations

import contextlib
import queue
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import structlog
from psycopg import errors

from processor.errors import NarrowedError, RecordRefusedError, SupersededError
from processor.pipeline.narrowing import Narrowing
from processor.projection.session import is_of_data, is_transient
from processor.runtime.metrics import BATCH_SECONDS, RECORDS
from schemas.clients.metrics import POSTGRES_FAILURES
from schemas.runtime.essential import EssentialThread

if TYPE_CHECKING:
    from processor.decoding.accept_rule import PartitionState
    from processor.projection.projection import PreparedBatch, Projection
    from processor.projection.session import ProjectionSession

_STOP_S: Final = 10.0


@dataclass(frozen=True, slots=True)
class Claim:
    """Task: become the only writer of these partitions."""

    partitions: list[int]


@dataclass(frozen=True, slots=True)
class Claimed:
    """Outcome: where to go on from, by partition."""

    states: dict[int, PartitionState]


@dataclass(frozen=True, slots=True)
class Project:
    """Task: write these batches in one transaction."""

    batches: list[PreparedBatch]


@dataclass(frozen=True, slots=True)
class Projected:
    """Outcome: committed; the offsets to go on from, by partition."""

    next_offsets: dict[int, int]


@dataclass(frozen=True, slots=True)
class Lost:
    """Outcome: nothing is known of these partitions until they are claimed again."""

    partitions: list[int]
    reason: BaseException


@dataclass(frozen=True, slots=True)
class Broken:
    """Outcome: an error that time does not heal; the thread has ended."""

    error: BaseException


Outcome = Claimed | Projected | Lost | Broken


class Projector(EssentialThread):
    """Runs until :meth:`stop`; ``tasks`` holds at most one task beside the one at work."""

    def __init__(self, session: ProjectionSession, projection: Projection) -> None:
        super().__init__("projector", self._take_tasks)
        self.tasks: queue.Queue[Claim | Project | None] = queue.Queue(maxsize=1)
        self.outcomes: queue.SimpleQueue[Outcome] = queue.SimpleQueue()
        self._session = session
        self.projection = projection
        self._generation_of: dict[int, int] = {}
        self._lost: dict[int, int] = {}
        """Epochs, by partition, in which a batch was lost.  What was handed over after it is lost,
        too: the batch may have been committed all the same, or applied otherwise than it was handed
        over, so its epoch and offset may be right where the generation is not."""
        self._log = structlog.stdlib.get_logger("rollcall.processor")

    def stop(self, timeout_s: float | None = None) -> None:
        """Let the task at work finish, or cut it off after the time; idempotent."""
        self.stopping.set()
        half_s = (timeout_s or _STOP_S) / 2
        with contextlib.suppress(queue.Full):  # a task is stuck: cut off below, it rolls back
            self.tasks.put(None, timeout=half_s)
        self.join(half_s)
        self._session.close()

    def _take_tasks(self) -> None:
        """Take tasks until told to stop; hands every error on."""
        while (task := self.tasks.get()) is not None:
            try:
                outcome = self._claim(task) if isinstance(task, Claim) else self._project(task)
            except Exception as error:  # noqa: BLE001 - handed to the thread that can act on it
                self.outcomes.put(self._failure(task, error))
                if not _is_healed_by_claim(error):
                    self.stopping.set()  # whoever takes the outcome ends, or begins anew
                    return
            else:
                self.outcomes.put(outcome)

    def _claim(self, task: Claim) -> Claimed:
        claimed = self._session.claim(task.partitions)
        self._generation_of |= {partition: held[1] for partition, held in claimed.items()}
        return Claimed({partition: held[0] for partition, held in claimed.items()})

    def _project(self, task: Project) -> Projected | Lost:
        begin = time.monotonic()
        if any(self._lost.get(_partition(each)) == each.before.epoch for each in task.batches):
            return self._lose(task, NarrowedError("records before these were lost"))
        try:
            self._generation_of = self.projection.project(
                self._session.connection(), task.batches, self._generation_of
            )
        except (RecordRefusedError, errors.Error) as error:
            if not is_of_data(error):
                raise
            return self._narrow(task, error)
        elapsed_s = time.monotonic() - begin
        records = sum(len(each.batch.offsets) for each in task.batches)
        RECORDS.inc(records)
        BATCH_SECONDS.labels("project").observe(elapsed_s)
        self._log.info(
            "batch projected",
            records=records,
            partitions=len(task.batches),
            elapsed_ms=round(1000 * elapsed_s),
        )
        return Projected({_partition(each): each.after.next_offset for each in task.batches})

    def _narrow(self, task: Project, error: Exception) -> Lost:
        """Apply all that can be; what comes next is known to the tables alone."""
        self._log.error(
            "a batch holds what the tables refuse", reason=str(error).partition("\n")[0]
        )
        connection = self._session.connection()
        lost = self._lose(task, NarrowedError("applied but for what the tables refuse"))
        for prepared in task.batches:
            narrowing = Narrowing(self.projection, connection, self._generation_of)
            narrowing.apply(prepared)
            self._generation_of = narrowing.generation_of
        return lost

    def _failure(self, task: Claim | Project, error: Exception) -> Lost | Broken:
        if not _is_healed_by_claim(error):
            return Broken(error)
        if not isinstance(error, SupersededError):
            POSTGRES_FAILURES.labels(type(error).__name__).inc()
            self._session.close()
        return Lost(task.partitions, error) if isinstance(task, Claim) else self._lose(task, error)

    def _lose(self, task: Project, error: Exception) -> Lost:
        epochs = {_partition(each): each.before.epoch for each in task.batches}
        self._lost |= epochs
        return Lost(list(epochs), error)


def _partition(prepared: PreparedBatch) -> int:
    return prepared.after.partition


def _is_healed_by_claim(error: BaseException) -> bool:
    return isinstance(error, SupersededError) or is_transient(error)
