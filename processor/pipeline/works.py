"""A partition's records made into work, and work that Postgres refused narrowed to its record.

Records are judged before a transaction (:mod:`processor.decoding.batches`); this is the
net below.  What the tables refuse for good is tried again in ever smaller transactions,
each with its fence and its offset, until the record at fault stands alone.  That one
becomes a dead letter, and everything after it is judged as if it were not there.

A replay narrows down as a live worker does.  It finds the same record wherever the
refusal depends on that record and on what stands before it in its partition: on a value
that a column can't hold, on a job that the partition has had.  Where it depends on
another partition (two rejections of one job with the same record number, which no pass
has), the record that comes second is the one at fault, and a replay may meet the two the
other way round.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog
from psycopg import errors

from processor.decoding.accept_rule import Rows, accept
from processor.decoding.batches import decode_records
from processor.decoding.producer_rules import MISATTRIBUTED, LogPartition, Refusal
from processor.errors import RecordRefusedError
from processor.projection.projection import Work
from processor.projection.session import is_of_data
from processor.projection.staging import prepare_rows

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import psycopg

    from processor.decoding.accept_rule import PartitionState
    from processor.decoding.batch import Batch
    from processor.decoding.records import Record
    from processor.projection.projection import Projection
    from processor.projection.staging import PreparedRows

_log = structlog.stdlib.get_logger("rollcall.processor")


def make_work(
    projection: Projection,
    state: PartitionState,
    records: Sequence[Record],
    *,
    first_step: int = 0,
    refused: Mapping[int, Refusal] | None = None,
) -> tuple[Work, int]:
    """The work that these records, which come next at ``state``, are; and how many are repeats.

    ``first_step`` is how many steps its transaction has before.
    ``refused``: by offset, what the tables have been found not to take.
    """
    settings = projection.settings
    place = LogPartition(
        state.partition, settings.topics.user_events.partitions, settings.reconciliation_key
    )
    batch = decode_records(records, place, state.attributes, refused)
    accepted = accept(batch, state, projection.reverted)
    if not projection.is_silent:
        _alarm(batch, accepted.corrupt)
    steps = [
        _prepared(projection, batch, step, first_step + number) if isinstance(step, Rows) else step
        for number, step in enumerate(accepted.steps)
    ]
    return Work(batch=batch, before=state, after=accepted.state, steps=steps), accepted.repeats


class Narrowing:
    """Applies work again, of which Postgres refused a record; ``generation_of`` as it goes."""

    def __init__(
        self,
        projection: Projection,
        connection: psycopg.Connection,
        generation_of: dict[int, int],
    ) -> None:
        self.generation_of = generation_of
        self._projection = projection
        self._connection = connection

    def apply(self, work: Work) -> None:
        """Commit all records of the work, those at fault as dead letters.

        Raises:
            Exception: what is not of data, or is not of any record.
        """
        self._apply(work.before, work.batch.records)

    def _apply(self, state: PartitionState, records: Sequence[Record]) -> PartitionState:
        try:
            return self._project(state, records, {})
        except RecordRefusedError as error:
            offsets = [record.offset() for record in records]
            refusal = Refusal(error.code, error.reason)
            return self._apply_around(state, records, offsets.index(error.offset), refusal)
        except errors.Error as error:
            if not is_of_data(error) or not records:
                raise
            if len(records) > 1:
                middle = len(records) // 2
                state = self._apply(state, records[:middle])
                return self._apply(state, records[middle:])
            return self._apply_around(state, records, 0, _refusal(error))

    def _apply_around(
        self, state: PartitionState, records: Sequence[Record], at: int, refusal: Refusal
    ) -> PartitionState:
        """Commit what comes before the record at fault, that one, and what comes after it."""
        if at:
            state = self._apply(state, records[:at])
        offset = records[at].offset() or 0
        _log.error(
            "the tables refused a record",
            partition=state.partition,
            offset=offset,
            code=refusal.code,
            reason=refusal.reason,
        )
        state = self._project(state, records[at : at + 1], {offset: refusal})
        rest = records[at + 1 :]
        return self._apply(state, rest) if rest else state

    def _project(
        self, state: PartitionState, records: Sequence[Record], refused: Mapping[int, Refusal]
    ) -> PartitionState:
        work, _ = make_work(self._projection, state, records, refused=refused)
        self.generation_of = self._projection.project(self._connection, [work], self.generation_of)
        return work.after


def _refusal(error: errors.Error) -> Refusal:
    # Its detail may quote what a user sent.
    what = error.diag.message_primary or type(error).__name__
    return Refusal("NOT_STORABLE", f"Postgres refused it ({error.sqlstate or 'psycopg'}): {what}")


def _alarm(batch: Batch, corrupt: Sequence[int]) -> None:
    """Somebody imitates the publisher, or what it sent was damaged on its way."""
    for job_id in corrupt:
        _log.error("digest mismatch", job_id=job_id, partition=batch.partition)
    of_jobs = [letter for letter in batch.dead_letters if letter.job_id is not None]
    for is_misattributed, alarm in (
        (True, "rows name a job that is not theirs"),
        (False, "records of jobs are unfit"),
    ):
        found = [each for each in of_jobs if (each.code == MISATTRIBUTED) is is_misattributed]
        if found:
            _log.error(
                alarm,
                partition=batch.partition,
                rows=len(found),
                first_offset=found[0].offset,
                codes=sorted({letter.code for letter in found}),
            )


def _prepared(projection: Projection, batch: Batch, step: Rows, number: int) -> PreparedRows:
    expect_new = projection.expects_new(step.job_id, step.mode, batch.partition)
    return prepare_rows(batch, step, number, expect_new=expect_new)
