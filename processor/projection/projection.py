"""Writes batches of some partitions into the tables of one projection instance."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from psycopg import errors

from processor.projection.job_rows import LeafWriter
from processor.projection.producer_rows import ProducerRowWriter
from processor.projection.staging import PreparedRows
from processor.projection.transaction import Transaction
from processor.projection.write_outcomes import WriteOutcomes
from schemas.log.positions import position_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import psycopg

    from processor.decoding.accept_rule import (
        Defined,
        Erased,
        Indexed,
        Opened,
        PartitionState,
        Sealed,
    )
    from processor.decoding.batch import Batch
    from processor.tables.generations import Generations
    from schemas.config.settings import Settings
    from schemas.events import UserRow

_REMEMBERED_JOBS: Final = 10_000


@dataclass(frozen=True, slots=True)
class PreparedBatch:
    """A partition's batch, decided and made ready: all but the database's part."""

    batch: Batch
    before: PartitionState
    after: PartitionState
    steps: Sequence[Opened | Defined | Indexed | PreparedRows | Erased | Sealed]

    def row_steps(self) -> list[PreparedRows]:
        """Return its steps that carry rows."""
        return [step for step in self.steps if isinstance(step, PreparedRows)]

    def writes(self) -> dict[int, str]:
        """Return its writes of the API: event ids by log position, refused ones too."""
        partition = self.after.partition
        writes = {
            position_of(partition, refused.offset): refused.event_id
            for refused in self.batch.refused_writes
        }
        for step in self.row_steps():
            writes |= step.reported
        return writes


class Projection:
    """Writes batches into the tables of one projection."""

    def __init__(
        self,
        settings: Settings,
        *,
        generations: Generations,
        read_rows: Callable[[int, list[int]], Iterator[tuple[int, UserRow]]],
        reverted: frozenset[int] = frozenset(),
        is_silent: bool = False,
    ) -> None:
        """``read_rows`` reads rows again from the log: (partition, ascending offsets).

        ``reverted`` are the jobs whose rows are left out.  A silent projection tells nobody
        what it does, no statuses, dead letters or outcomes, and keeps no earlier generation.
        """
        self.settings = settings
        self.reverted = reverted
        self.is_silent = is_silent
        self.schema = generations.schema
        self.generations = generations
        self.read_rows = read_rows
        self.are_new: dict[tuple[int, int], bool] = {}
        self._writers: dict[tuple[int, int], tuple[LeafWriter, ProducerRowWriter]] = {}

    def expects_new(self, job_id: int | None, mode: str | None, partition: int) -> bool:
        """Return whether a job's next rows are likely to be new users, as its last ones were."""
        if job_id is None:
            return False
        if len(self.are_new) > _REMEMBERED_JOBS:
            self.are_new.clear()
        return self.are_new.get((job_id, partition), mode == "insert")

    def project(
        self,
        connection: psycopg.Connection,
        batches: list[PreparedBatch],
        generation_of: dict[int, int],
    ) -> dict[int, int]:
        """Write one batch for each of some partitions, in one transaction.

        ``generation_of`` says which generation each partition writes to.

        Returns:
            The same after the batch: it changes where a delsert opened.

        Raises:
            SupersededError: another worker holds one of the partitions; nothing was written.
        """
        with connection.transaction(), connection.cursor() as cursor:
            writes = {
                at: event_id for prepared in batches for at, event_id in prepared.writes().items()
            }
            outcomes = WriteOutcomes(self.schema, writes)
            transaction = Transaction(self, cursor, dict(generation_of), outcomes)
            transaction.fence(batches)
            transaction.stage(batches)
            outcomes.find_repeats(cursor)
            for prepared in batches:
                transaction.apply(prepared)
            transaction.write_rejections(batches)
            transaction.write_counts()
            outcomes.write(cursor, tells=not self.is_silent)
            transaction.write_jobs()
        transaction.note_metrics()
        if self.is_silent and transaction.has_switched:
            self._drop_retired(connection)
        return transaction.generation_of

    def _drop_retired(self, connection: psycopg.Connection) -> None:
        """Drop what nobody reads; a long log may have made hundreds. The next one tries again."""
        with contextlib.suppress(errors.LockNotAvailable), connection.transaction():
            connection.execute("SET LOCAL lock_timeout = '1s'")
            with connection.cursor() as cursor:
                for generation in self.generations.expired(cursor, keep_s=0):
                    self.generations.drop(cursor, generation)

    def writers(self, generation: int, partition: int) -> tuple[LeafWriter, ProducerRowWriter]:
        """Return the writers of a leaf; kept, so that their statements stay prepared."""
        leaf = (generation, partition)
        if leaf not in self._writers:
            if len(self._writers) > 2 * self.settings.topics.user_events.partitions:
                self._writers.clear()
            table = self.generations.leaf(generation, partition)
            self._writers[leaf] = (LeafWriter(table), ProducerRowWriter(table))
        return self._writers[leaf]
