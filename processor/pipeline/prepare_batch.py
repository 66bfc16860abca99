"""Prepares a partition's records for the projector: decoded, accepted, and made COPY input."""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog

from processor.decoding.accept_rule import Rows, accept
from processor.decoding.decode_records import decode_records
from processor.decoding.producer_rules import FORGED, MISATTRIBUTED, UNREADABLE, LogPartition
from processor.projection.projection import PreparedBatch
from processor.projection.staging import prepare_rows
from processor.runtime.metrics import (
    DIGEST_MISMATCH,
    MISATTRIBUTED_ROWS,
    UNFIT_RECORDS,
    UNREADABLE_BATCHES,
)
from schemas.clients.metrics import FORGED_RECORDS

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
    place = LogPartition.in_log(projection.settings, state.partition)
    batch = decode_records(
        records, place, state.attributes, refused, requires_digests=state.requires_digests
    )
    accepted = accept(batch, state, projection.reverted)
    if not projection.is_silent:
        _alarm(batch, place.topic, accepted.corrupt)
    steps = [
        _prepare_step(projection, batch, step, first_step + number)
        if isinstance(step, Rows)
        else step
        for number, step in enumerate(accepted.steps)
    ]
    return PreparedBatch(
        batch=batch, before=state, after=accepted.state, steps=steps
    ), accepted.repeats


def _alarm(batch: Batch, topic: str, corrupt: Sequence[int]) -> None:
    """Log what says that somebody imitates the publisher, or that a record was damaged."""
    for job_id in corrupt:
        DIGEST_MISMATCH.inc()
        _log.error("digest mismatch", job_id=job_id, partition=batch.partition)
    forged = [letter for letter in batch.dead_letters if letter.code == FORGED]
    misattributed = [letter for letter in batch.dead_letters if letter.code == MISATTRIBUTED]
    unreadable = [letter for letter in batch.dead_letters if letter.code == UNREADABLE]
    of_jobs = [letter for letter in batch.dead_letters if letter.job_id is not None]
    unfit = [letter for letter in of_jobs if letter.code not in {FORGED, MISATTRIBUTED}]
    for found, alarm, counter in (
        (forged, "records have no right digest", FORGED_RECORDS.labels(topic)),
        (unreadable, "record batches can't be decompressed", UNREADABLE_BATCHES),
        (misattributed, "rows name a job that is not theirs", MISATTRIBUTED_ROWS),
        (unfit, "records of jobs are unfit", UNFIT_RECORDS),
    ):
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
