"""Decodes records and applies the accept rule for readers of the whole log, without tables.

The tables know the jobs that a partition has had, and take none of them twice
(:mod:`processor.projection.jobs`); who reads without them keeps the jobs that it has met.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from processor.decoding.accept_rule import Opened, accept
from processor.decoding.decode_records import decode_records
from processor.decoding.producer_rules import Refusal

if TYPE_CHECKING:
    from collections.abc import Container, Sequence

    from processor.decoding.accept_rule import Accepted, PartitionState
    from processor.decoding.batch import Batch
    from processor.decoding.producer_rules import LogPartition
    from processor.decoding.records import Record


def decode_and_accept(
    records: Sequence[Record],
    place: LogPartition,
    state: PartitionState,
    *,
    known: Container[int],
    reverted: frozenset[int] = frozenset(),
) -> tuple[Batch, Accepted]:
    """Decode records that come next at ``state`` and apply the accept rule; at least one.

    ``known`` are the jobs that have begun in the partition before.
    """
    refused: dict[int, Refusal] = {}
    while True:
        batch = decode_records(
            records, place, state.attributes, refused, requires_digests=state.requires_digests
        )
        accepted = accept(batch, state, reverted)
        repeated = _repeated(accepted, known)
        if repeated is None:
            return batch, accepted
        refused[repeated.offset] = repeated_job(repeated, place.number)


def repeated_job(opened: Opened, partition: int) -> Refusal:
    """Say why a JobOpened of a job that began in the partition before is a dead letter."""
    reason = f"partition {partition} has had job {opened.job.job_id}, and has gone on since"
    return Refusal("JOB_REPEATED", reason)


def begun(accepted: Accepted) -> list[int]:
    """Return the jobs that begin among what was accepted."""
    return [step.job.job_id for step in accepted.steps if isinstance(step, Opened)]


def _repeated(accepted: Accepted, known: Container[int]) -> Opened | None:
    met: set[int] = set()
    for step in accepted.steps:
        if isinstance(step, Opened):
            if step.job.job_id in known or step.job.job_id in met:
                return step
            met.add(step.job.job_id)
    return None
