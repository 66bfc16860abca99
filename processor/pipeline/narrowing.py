"""Narrows a batch that Postgres refused down to the record at fault, which becomes a dead letter.

Records are validated before a transaction (:mod:`processor.decoding.decode_records`); this is the
net below.  What the tables refuse for good is tried again in ever smaller transactions,
each with its fence and its offset, until the record at fault stands alone.  That one
becomes a dead letter, and everything after it is decided as if it were not there.

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

from processor.decoding.producer_rules import Refusal
from processor.errors import RecordRefusedError
from processor.pipeline.prepare_batch import prepare_batch
from processor.projection.session import is_of_data
from processor.runtime.metrics import TABLES_REFUSED

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import psycopg

    from processor.decoding.accept_rule import PartitionState
    from processor.decoding.records import Record
    from processor.projection.projection import PreparedBatch, Projection

_log = structlog.stdlib.get_logger("rollcall.processor")


class Narrowing:
    """Applies a batch again of which Postgres refused a record; moves ``generation_of`` on."""

    def __init__(
        self,
        projection: Projection,
        connection: psycopg.Connection,
        generation_of: dict[int, int],
    ) -> None:
        self.generation_of = generation_of
        self._projection = projection
        self._connection = connection

    def apply(self, prepared: PreparedBatch) -> None:
        """Commit all records of the batch, those at fault as dead letters.

        Raises:
            Exception: what is not of data, or is not of any record.
        """
        self._apply(prepared.before, prepared.batch.records)

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
        TABLES_REFUSED.inc()
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
        prepared, _ = prepare_batch(self._projection, state, records, refused=refused)
        self.generation_of = self._projection.project(
            self._connection, [prepared], self.generation_of
        )
        return prepared.after


def _refusal(error: errors.Error) -> Refusal:
    # Its detail may quote what a user sent.
    what = error.diag.message_primary or type(error).__name__
    return Refusal("NOT_STORABLE", f"Postgres refused it ({error.sqlstate or 'psycopg'}): {what}")
