"""The projection driven without Kafka: workers, and a log that is kept in memory."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from processor.decoding.accept_rule import Rows, accept
from processor.decoding.decode_records import decode_records
from processor.decoding.producer_rules import LogPartition
from processor.kafka.log_description import Log
from processor.projection.projection import PreparedBatch, Projection
from processor.projection.session import ProjectionSession
from processor.projection.staging import prepare_rows
from processor.tables.generations import Generations
from processor.tables.instance_registry import ensure_registry, show
from processor.tables.setup import make_tables
from tests.support.data.passes import MemoryLog
from tests.support.servers.surroundings import PARTITIONS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from processor.decoding.accept_rule import PartitionState
    from processor.decoding.batch import Batch
    from tests.support.servers.surroundings import Ground

_numbers = itertools.count()


@dataclass(slots=True)
class Worker:
    """A processor without its consumer: it claims, and projects the batches it is given."""

    session: ProjectionSession
    projection: Projection
    states: dict[int, PartitionState] = field(default_factory=dict[int, "PartitionState"])
    generations: dict[int, int] = field(default_factory=dict[int, int])
    expects_new: bool = False

    def claim(self, partitions: Sequence[int] = range(PARTITIONS)) -> None:
        """Become the owner of these partitions, and of no other any more."""
        claimed = self.session.claim(list(partitions))
        self.states = {partition: held[0] for partition, held in claimed.items()}
        self.generations = {partition: held[1] for partition, held in claimed.items()}

    def is_at_end(self, log: MemoryLog) -> bool:
        """Whether all of the log has been projected."""
        return all(
            self.states[partition].next_offset == len(records)
            for partition, records in enumerate(log.partitions)
        )

    def project(self, log: MemoryLog, sizes: list[int]) -> bool:
        """Project the next records, so many of each partition; whether there were any."""
        batches: list[PreparedBatch] = []
        for partition, size in enumerate(sizes):
            if partition not in self.states:
                continue
            begin = self.states[partition].next_offset
            if records := log.partitions[partition][begin : begin + size]:
                steps = sum(len(prepared.steps) for prepared in batches)
                attributes = self.states[partition].attributes
                key = self.projection.settings.reconciliation_key
                place = LogPartition(partition, PARTITIONS, key)
                batch = decode_records(records, place, attributes)
                batches.append(self._prepare(batch, steps))
        if batches:
            self.generations = self.projection.project(
                self.session.connection(), batches, self.generations
            )
            self.states |= {prepared.after.partition: prepared.after for prepared in batches}
        return bool(batches)

    def _prepare(self, batch: Batch, first_step: int) -> PreparedBatch:
        before = self.states[batch.partition]
        accepted = accept(batch, before, self.projection.reverted)
        assert not accepted.corrupt
        steps = [
            prepare_rows(batch, step, first_step + number, expect_new=self.expects_new)
            if isinstance(step, Rows)
            else step
            for number, step in enumerate(accepted.steps)
        ]
        return PreparedBatch(batch=batch, before=before, after=accepted.state, steps=steps)


@dataclass(slots=True)
class Scene:
    """A projection of its own on the test's database, and the log that it is made from."""

    env: Ground
    log: MemoryLog = field(default_factory=lambda: MemoryLog([[] for _ in range(PARTITIONS)]))
    schema: str = field(default_factory=lambda: f"projection_{next(_numbers)}")
    sessions: list[ProjectionSession] = field(default_factory=list[ProjectionSession])
    reverted: frozenset[int] = frozenset()

    def worker(self) -> Worker:
        """A worker that has claimed every partition."""
        settings = self.env.settings
        generations = Generations(self.schema, PARTITIONS)
        session = ProjectionSession(settings, self.schema, is_live=False)
        self.sessions.append(session)
        if len(self.sessions) == 1:
            found = Log(topic_id="in memory", partitions=PARTITIONS)
            connection = session.connection()
            with connection.transaction(), connection.cursor() as cursor:
                ensure_registry(cursor)
                make_tables(cursor, settings, self.schema, found)
                show(cursor, self.schema)
        projection = Projection(
            settings,
            generations=generations,
            read_rows=self.log.read_rows,
            reverted=self.reverted,
        )
        worker = Worker(session, projection)
        worker.claim()
        return worker

    def close(self) -> None:
        """End the sessions."""
        for session in self.sessions:
            session.close()
