"""The accept rule, where the publisher has given a job up: it ends, and the next one begins."""

from __future__ import annotations

from processor.decoding.accept_rule import Opened, PartitionState, Sealed, accept
from processor.decoding.decode_records import decode_records
from processor.decoding.producer_rules import LogPartition
from schemas.codec import codec
from schemas.events import JobSealed
from tests.support.models.partition_pass import FakeRecord, a_pass

PLACE = LogPartition(0, 1, "email")
START = PartitionState(0, epoch=1)


def test_a_job_that_failed_ends_whatever_came_of_it() -> None:
    """Opened or not, in the middle of its rows or whole: the next job is opened, and it never is.

    What comes of it later, from a publisher that did not know, is a repeat.
    """
    broken_off = a_pass(1, 0, 5)
    end = JobSealed(job_id=1, rows=0, digest=0, is_abandoned=True)
    for count in range(len(broken_off)):
        values = [
            *broken_off[:count],
            *([broken_off[0]] if count == 0 else []),
            codec.encode(end),
            *broken_off[1:],
            codec.encode(end),
            *a_pass(2, 1, 3),
        ]
        records = [FakeRecord(at, value) for at, value in enumerate(values)]
        for reverted in (frozenset({1}), frozenset[int]()):
            accepted = accept(decode_records(records, PLACE), START, reverted)
            brackets = [step for step in accepted.steps if isinstance(step, Opened | Sealed)]
            jobs = [(step.job if isinstance(step, Opened) else step.seal).job_id
                    for step in brackets]  # fmt: skip
            assert jobs == [1, 1, 2, 2]
            assert [step.is_broken_off for step in brackets if isinstance(step, Sealed)] == [
                not reverted, False,
            ]  # fmt: skip
            assert accepted.state.sealed_job_id == 2
            assert not accepted.corrupt


def test_a_delsert_that_failed_replaces_nobody() -> None:
    """Its users are never counted as those of an audience."""
    end = codec.encode(JobSealed(job_id=1, rows=0, digest=0, is_abandoned=True))
    values = [*a_pass(1, 0, 2, "delsert")[:-1], end]
    records = [FakeRecord(at, value) for at, value in enumerate(values)]

    *_, sealed = accept(decode_records(records, PLACE), START).steps

    assert isinstance(sealed, Sealed)
    assert (sealed.replaces_users, sealed.is_broken_off) == (False, True)
