"""Where digests are required, of what is no row only that counts which has a right one."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from processor.decoding.accept_rule import Opened, PartitionState, Sealed, accept
from processor.decoding.decode_records import decode_records
from processor.decoding.producer_rules import FORGED, LogPartition
from schemas.codec.codec import decode, encode
from schemas.events import JobOpened, JobSealed, LogConfigured, RowErased, UserRow
from schemas.log.digests import Keyring
from tests.support.data.passes import MemoryRecord
from tests.support.models.partition_pass import a_pass

if TYPE_CHECKING:
    from processor.decoding.batch import DeadLetter

KEYRING = Keyring({"one": b"1" * 32})
PLACE = LogPartition(0, 1, "email", "user-events", KEYRING)
MARK = encode(
    LogConfigured(reconciliation_key="email", configured_at=datetime(2026, 1, 1, tzinfo=UTC))
)
FORGERY = [
    encode(JobOpened(
        job_id=9, previous_job_id=1, mode="delsert", lines=0, file_name=None, sha256="",
        accepted_at=datetime(2026, 1, 1, tzinfo=UTC), accepted_by="nobody",
    )),
    encode(JobSealed(job_id=9, rows=0, digest=0)),
    encode(JobSealed(job_id=2, rows=0, digest=0, is_abandoned=True)),
    encode(RowErased(
        job_id=None, record_number=None, line=None, sequence=None, outcome="none",
        key_hash=b"0" * 32, opt_outs=7,
    )),
]  # fmt: skip


def unsigned(*values: bytes) -> list[MemoryRecord]:
    """The records of who has no key."""
    return [MemoryRecord(b"1", value) for value in values]


def signed(*values: bytes) -> list[MemoryRecord]:
    """The records of who has one: rows have no digest."""
    return [
        MemoryRecord(b"1", value)
        if isinstance(decode(value), UserRow)
        else MemoryRecord(b"1", value, record_headers=KEYRING.headers("user-events", b"1", value))
        for value in values
    ]


def followed(
    records: list[MemoryRecord], *, cut_at: int = 0
) -> tuple[list[str], list[DeadLetter], PartitionState]:
    """The brackets that count, the dead letters, and the state behind, read in two batches."""
    placed = [
        MemoryRecord(each.key(), each.value(), at, record_headers=each.headers())
        for at, each in enumerate(records)
    ]
    story, letters, state = list[str](), list["DeadLetter"](), PartitionState(0)
    for begin, end in itertools.pairwise(sorted({0, cut_at, len(placed)})):
        batch = decode_records(
            placed[begin:end], PLACE, state.attributes, requires_digests=state.requires_digests
        )
        accepted = accept(batch, state)
        for step in accepted.steps:
            if isinstance(step, Opened):
                story.append(f"opened {step.job.job_id}")
            if isinstance(step, Sealed):
                story.append(f"sealed {step.seal.job_id}")
        letters += batch.dead_letters
        state = accepted.state
    return story, letters, state


ONE, TWO = a_pass(1, 0, 3), a_pass(2, 1, 3)
STORY = ["opened 1", "sealed 1", "opened 2", "sealed 2"]


@pytest.mark.parametrize("cut_at", range(2, 15))
def test_a_forged_record_has_no_effect_wherever_the_log_is_cut(cut_at: int) -> None:
    """Between jobs and within one: each is a dead letter, and the jobs come to the same."""
    records = [
        *signed(MARK, *ONE), *unsigned(*FORGERY), *signed(*TWO[:2]), *unsigned(*FORGERY),
        *signed(*TWO[2:]),
    ]  # fmt: skip
    story, letters, state = followed(records, cut_at=cut_at)
    assert story == STORY
    assert [letter.code for letter in letters] == [FORGED] * 2 * len(FORGERY)
    assert (state.requires_digests, state.has_opt_outs, state.sealed_job_id) == (True, False, 2)


def test_a_log_that_began_without_keys_requires_digests_from_its_mark_on() -> None:
    """What came before it counts as it did; a mark that is not signed is none."""
    begun = [*unsigned(MARK, *ONE)]
    assert followed(begun)[2].requires_digests is False
    story, letters, state = followed([*begun, *signed(MARK), *unsigned(*TWO), *signed(*TWO)])
    assert story == STORY
    assert [letter.code for letter in letters][:2] == ["UNEXPECTED_TYPE", FORGED]
    assert state.requires_digests


def test_a_digest_of_another_topic_or_record_is_none() -> None:
    """A signed record can't be carried to the log from a copy of it, nor be changed."""
    (opened, *_), elsewhere = ONE, KEYRING.headers("user-events.2", b"1", ONE[0])
    story, letters, _ = followed([
        *signed(MARK),
        MemoryRecord(b"1", opened, record_headers=elsewhere),
        MemoryRecord(b"2", opened, record_headers=KEYRING.headers("user-events", b"1", opened)),
    ])  # fmt: skip
    assert (story, [letter.code for letter in letters]) == ([], [FORGED] * 2)
