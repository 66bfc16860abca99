"""Prepares a partition's records for the projector: decoded, accepted, and made COPY input."""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog

from processor.decoding.accept_rule import Rows, accept
from processor.decoding.decode_records import decode_records
from processor.decoding.producer_rules import MISATTRIBUTED, LogPartition
from processor.projection.projection import PreparedBatch
from processor.projection.staging import prepare_rows
from processor.runtime.metrics import DIGEST_MISMATCH, MISATTRIBUTED_ROWS, UNFIT_RECORDS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from processor.decoding.accept_rule import PartitionState
    from processor.decoding.batch import Batch
    from processor.decoding.producer_rules import Refusal
    from processor.decoding.records import Record
    from processor.projection.projection import Projection
    from processor.projection.staging import PreparedRows

_log = structlog.stdlib.get_logger("rollcall.processor")


def prepare_batch(
    projection: Projection,
    state: PartitionState,
    records: Sequence[Record],
    *,
    first_step: int = 0,
    refused: Mapping[int, Refusal] | None = None,
) -> tuple[PreparedBatch, int]:
    """Decode the records that come next at ``state``, apply the accept rule, and stage the rows.

    ``first_step`` is the number of steps that its transaction has before.
    ``refused``: by offset, what the tables have been found not to take.

    Returns:
        The prepared batch, and the number of repeats among its records.
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
        _prepare_step(projection, batch, step, first_step + number)
        if isinstance(step, Rows)
        else step
        for number, step in enumerate(accepted.steps)
    ]
    return PreparedBatch(
        batch=batch, before=state, after=accepted.state, steps=steps
    ), accepted.repeats


def _alarm(batch: Batch, corrupt: Sequence[int]) -> None:
    """Log what says that somebody imitates the publisher, or that a record was damaged."""
    for job_id in corrupt:
        DIGEST_MISMATCH.inc()
        _log.error("digest mismatch", job_id=job_id, partition=batch.partition)
    of_jobs = [letter for letter in batch.dead_letters if letter.job_id is not None]
    for is_misattributed, alarm, counter in (
        (True, "rows name a job that is not theirs", MISATTRIBUTED_ROWS),
        (False, "records of jobs are unfit", UNFIT_RECORDS),
    ):
        found = [each for each in of_jobs if (each.code == MISATTRIBUTED) is is_misattributed]
        if found:
            counter.inc(len(found))
            _log.error(
                alarm,
                partition=batch.partition,
                rows=len(found),
                first_offset=found[0].offset,
                codes=sorted({letter.code for letter in found}),
            )


def _prepare_step(projection: Projection, batch: Batch, step: Rows, number: int) -> PreparedRows:
    expect_new = projection.expects_new(step.job_id, step.mode, batch.partition)
    return prepare_rows(batch, step, number, expect_new=expect_new)
