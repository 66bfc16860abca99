"""Finds the outcomes of a data subject's lines by projecting those lines alone, once more.

The projection's own code decides, in a Postgres schema that is dropped afterwards.
It reads the data subject's rows, each at its own log position, and the openings and
seals of all jobs; sequences and digests are made anew, since rows are missing.
"""

from __future__ import annotations

import zlib
from dataclasses import replace
from hashlib import sha256
from itertools import count
from typing import TYPE_CHECKING, Any, Final, LiteralString, Self, cast

from psycopg import sql

from processor.kafka.log_description import Log
from processor.pipeline.partition_feed import BatchPreparer, PartitionFeed
from processor.projection.projection import Projection
from processor.projection.session import ProjectionSession
from processor.tables.generations import Generations
from processor.tables.setup import make_tables
from schemas.codec.codec import encode
from schemas.events import JobSealed, UserRow
from schemas.log.topics import partition_of
from schemas.read_model.upsert_sql import OPTED_OUT

if TYPE_CHECKING:
    from collections.abc import Iterator

    from deploy.log_migration.records import CopiedRecord
    from processor.decoding.accept_rule import Opened, Sealed
    from schemas.config.settings import Settings
    from schemas.events import ErasedOutcome

SCHEMA: Final = "rollcall_erase"
"""The schema that the events are projected to; dropped at the end, and by the next run."""
_DROP: LiteralString = "DROP SCHEMA IF EXISTS {schema} CASCADE"
_COUNTS: LiteralString = """
SELECT inserted, updated, unchanged, rejected, deleted FROM {schema}.job_partition
WHERE job_id = %(job_id)s AND partition = %(partition)s
"""
_OUTCOMES: Final[tuple[ErasedOutcome, ...]] = (
    "inserted", "updated", "unchanged", "rejected", "deleted",
)  # fmt: skip
_OPT_OUTS: LiteralString = """
SELECT COALESCE((SELECT {opted_out} FROM {schema}.user_row AS leaf
                 JOIN {schema}.projection_offset AS written USING (generation, partition)
                 WHERE leaf.key = %(key)s),
                (SELECT flags FROM {schema}.opt_out WHERE key_hash = %(key_hash)s), 0)
"""
_ALL: Final = 1 << 40


class Outcomes:
    """Projects the data subject's partition event by event; a context manager."""

    def __init__(self, settings: Settings, key: str, reverted: frozenset[int]) -> None:
        """``key``: the data subject's; ``reverted``: jobs that count as if they had never run."""
        self.partition = partition_of(key.encode(), settings.topics.user_events.partitions)
        self._key = key
        self._partitions = settings.topics.user_events.partitions
        self._settings = settings
        self._session = ProjectionSession(settings, SCHEMA, is_live=False)
        projection = Projection(
            settings,
            generations=Generations(SCHEMA, self._partitions),
            read_rows=_read_nothing,
            reverted=reverted,
            is_silent=True,
        )
        self._projection = projection
        self._preparer = BatchPreparer(projection)
        self._feed: PartitionFeed | None = None
        self._generations: dict[int, int] = {}
        self._sequence = self._digest = 0
        self._counts: dict[int, tuple[int, ...]] = {}

    def __enter__(self) -> Self:
        self._drop()
        connection = self._session.connection()
        with connection.transaction(), connection.cursor() as cursor:
            make_tables(cursor, self._settings, SCHEMA, Log("erase", self._partitions))
        state, generation = self._session.claim([self.partition])[self.partition]
        self._feed = PartitionFeed(state, 0)
        self._generations = {self.partition: generation}
        return self

    def __exit__(self, *_: object) -> None:
        self._drop()
        self._session.close()

    def open(self, opened: Opened, record: CopiedRecord) -> None:
        """Project the opening of a job."""
        self._sequence = self._digest = 0
        self._queue(record)
        if opened.job.mode == "delsert":
            # A leaf without indexes decides only at its end which of two rows came first.
            self._queue(replace(record, **self._probe_event(opened)))

    def seal(self, sealed: Sealed, record: CopiedRecord) -> None:
        """Project the seal of a job."""
        seal = JobSealed(job_id=sealed.seal.job_id, rows=self._sequence, digest=self._digest)
        self._queue(replace(record, record_value=encode(seal)))

    def note(self, record: CopiedRecord) -> None:
        """Project an event without a job: of an attribute, or the data subject's."""
        self._queue(record)

    def opt_outs(self) -> int:
        """Return what the data subject has opted out of after the events so far."""
        self._project()
        statement = sql.SQL(_OPT_OUTS).format(schema=sql.Identifier(SCHEMA), opted_out=OPTED_OUT)
        key_hash = sha256(self._key.encode()).digest()
        parameters = {"key": self._key, "key_hash": key_hash}
        row = self._session.connection().execute(statement, parameters).fetchone()
        assert row is not None, "an expression has one row"
        return int(row[0])

    def outcome(self, row: UserRow, record: CopiedRecord) -> ErasedOutcome:
        """Project the data subject's line; return its outcome, ``none`` in a reverted job."""
        value = encode(replace(row, sequence=self._sequence))
        self._sequence += 1
        self._digest = zlib.crc32(value, self._digest)
        self._queue(replace(record, record_value=value))
        self._project()
        assert row.job_id is not None, "lines belong to jobs"
        parameters = {"job_id": row.job_id, "partition": self.partition}
        statement = sql.SQL(_COUNTS).format(schema=sql.Identifier(SCHEMA))
        counts = self._session.connection().execute(statement, parameters).fetchone() or ()
        before = self._counts.get(row.job_id, (0,) * len(_OUTCOMES))
        self._counts[row.job_id] = counts
        for at, name in enumerate(_OUTCOMES):
            if counts[at] > before[at]:
                return name
        return "none"

    def _queue(self, record: CopiedRecord) -> None:
        assert self._feed is not None, "it has been entered"
        # The feed asks of a message what a copied record answers too.
        self._feed.add([cast("Any", record)])

    def _project(self) -> None:
        assert self._feed is not None, "it has been entered"
        batches = self._preparer.prepare([self._feed], _ALL)
        connection = self._session.connection()
        self._generations = self._projection.project(connection, batches, self._generations)

    def _probe_event(self, opened: Opened) -> dict[str, bytes]:
        """Return an event of this partition that looks for a user by key and changes nothing."""
        keys = (f"nobody {number}" for number in count())
        key = next(key for key in keys
                   if partition_of(key.encode(), self._partitions) == self.partition)  # fmt: skip
        row = UserRow(
            event_id="none", mode="delete", key=key, present=0, occurred_at=opened.recorded_at
        )
        return {"record_key": key.encode(), "record_value": encode(row)}

    def _drop(self) -> None:
        statement = sql.SQL(_DROP).format(schema=sql.Identifier(SCHEMA))
        self._session.connection().execute(statement)


def _read_nothing(_partition: int, offsets: list[int]) -> Iterator[tuple[int, UserRow]]:
    assert not offsets, "every leaf here has its indexes before its rows"
    yield from ()
