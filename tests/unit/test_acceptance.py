"""The accept rule: whatever passes bring, each row counts once and in order."""

from __future__ import annotations

import itertools
import zlib
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from hypothesis import given, settings
from hypothesis import strategies as st

from processor.acceptance import (
    Defined,
    Erased,
    Indexed,
    Opened,
    PartitionState,
    Rows,
    Sealed,
    accept,
)
from processor.batches import decode_records
from schemas import codec
from schemas.events import JobOpened, JobSealed, RowRejected, UserRow

if TYPE_CHECKING:
    from schemas.events import JobMode

NOW = datetime(2026, 11, 1, tzinfo=UTC)
START = PartitionState(
    partition=0,
    epoch=1,
    next_offset=0,
    is_indexed=True,
    sealed_job_id=0,
    open_job_id=None,
    open_mode=None,
    next_sequence=0,
    digest=0,
)


@dataclass(frozen=True)
class FakeRecord:
    """A record as a batch reads it."""

    at: int
    data: bytes

    def value(self) -> bytes:
        """Its value."""
        return self.data

    def key(self) -> bytes:
        """Its key."""
        return b"k"

    def offset(self) -> int:
        """Its offset."""
        return self.at

    def timestamp(self) -> tuple[int, int]:
        """A second later than the one before it."""
        return 1, 1000 * self.at


def a_pass(job_id: int, previous: int, rows: int, mode: JobMode = "insert") -> list[bytes]:
    """The records of one pass of a job in one partition; each third row is a rejection."""
    values = [
        codec.encode(
            RowRejected(
                job_id=job_id,
                record_number=n + 1,
                line=n + 2,
                sequence=n,
                column=None,
                code="X",
                reason="x",
                value=None,
                raw="",
            )
            if n % 3 == 2
            else UserRow(
                job_id=job_id,
                record_number=n + 1,
                line=n + 2,
                sequence=n,
                mode=mode,
                key=f"k{n}",
                present=0,
                occurred_at=NOW,
            )
        )
        for n in range(rows)
    ]
    opened = JobOpened(
        job_id=job_id, previous_job_id=previous, mode=mode, lines=rows,
        file_name=None, sha256="", accepted_at=NOW, accepted_by="a",
    )  # fmt: skip
    sealed = JobSealed(job_id=job_id, rows=rows, digest=zlib.crc32(b"".join(values)))
    return [codec.encode(opened), *values, codec.encode(sealed)]


def applied(  # noqa: C901, PLR0912 - one case a kind of step
    values: list[bytes], cuts: list[int]
) -> tuple[list[str], PartitionState]:
    """What counts, record by record, when the log is cut into batches at these offsets."""
    state, story = START, list[str]()
    edges = [0, *sorted(set(cuts)), len(values)]
    for begin, end in itertools.pairwise(edges):
        records = [FakeRecord(at, values[at]) for at in range(begin, end)]
        if not records:
            continue
        batch = decode_records(records, 0, 1)
        accepted = accept(batch, state)
        state = accepted.state
        for step in accepted.steps:
            match step:
                case Opened(job):
                    story.append(f"opened {job.job_id}")
                case Sealed(seal):
                    story.append(f"sealed {seal.job_id}")
                case Indexed():
                    story.append("indexed")
                case Defined(event, _):
                    story.append(f"defined {event.name}")
                case Erased(row):
                    story.append(f"row {row.job_id}/{row.record_number}")
                case Rows():
                    both: list[Any] = [
                        batch.rows.take(step.rows),
                        batch.rejections.take(step.rejections),
                    ]
                    numbers: list[Any] = [
                        n for some in both for n in some.column("record_number").to_pylist()
                    ]
                    story += [f"row {step.job_id}/{n}" for n in sorted(numbers)]
    return story, state


def expected_story(jobs: list[int]) -> list[str]:
    """Each job once, in order, with each of its rows once."""
    story: list[str] = []
    for job_id, rows in enumerate(jobs, 1):
        story += [f"opened {job_id}", *(f"row {job_id}/{n + 1}" for n in range(rows))]
        story.append(f"sealed {job_id}")
    return story


@st.composite
def logs(draw: st.DrawFn) -> tuple[list[int], list[bytes]]:
    """Jobs with any number of broken-off, whole and interleaved passes each, the last whole."""
    jobs = draw(st.lists(st.integers(0, 6), min_size=1, max_size=3))
    values: list[bytes] = []
    for job_id, rows in enumerate(jobs, 1):
        whole = a_pass(job_id, job_id - 1, rows)
        broken = draw(st.lists(st.integers(0, len(whole)), max_size=3))
        zombies = [whole[:cut] for cut in broken]
        values += draw(interleavings([*zombies, whole]))
        # A zombie of this job may wake up at any later time.
        if draw(st.booleans()):
            values += whole
    return jobs, values


@st.composite
def interleavings(draw: st.DrawFn, sequences: list[list[bytes]]) -> list[bytes]:
    """Any order that keeps the order within each sequence."""
    queues = [list(sequence) for sequence in sequences if sequence]
    merged: list[bytes] = []
    while queues:
        at = draw(st.integers(0, len(queues) - 1))
        merged.append(queues[at].pop(0))
        queues = [queue for queue in queues if queue]
    return merged


@settings(max_examples=300)
@given(logs(), st.lists(st.integers(0, 60), max_size=5))
def test_each_row_counts_once_whichever_pass_brings_it(
    log: tuple[list[int], list[bytes]], cuts: list[int]
) -> None:
    """Any mix of passes, in batches of any size, comes to each job once and in order."""
    jobs, values = log
    story, state = applied(values, [cut for cut in cuts if cut < len(values)])
    assert story == expected_story(jobs)
    assert state.sealed_job_id == len(jobs)
    assert state.next_offset == len(values)


def test_a_later_job_waits_for_the_one_before_it() -> None:
    """A pass whose previous job is not sealed here is not accepted."""
    story, state = applied(a_pass(2, 1, 3) + a_pass(1, 0, 2), [])
    assert story == expected_story([2])
    assert state.sealed_job_id == 1


def test_lost_records_keep_the_job_open_until_a_pass_brings_them() -> None:
    """A gap in the sequence stops the job; the repeated pass fills it."""
    whole = a_pass(1, 0, 5)
    with_gap = whole[:2] + whole[3:]
    story, state = applied(with_gap, [])
    assert story == ["opened 1", "row 1/1"]
    assert state.open_job_id == 1
    assert applied(with_gap + whole, [])[0] == expected_story([5])


def test_a_wrong_digest_is_an_alarm_and_seals_nothing() -> None:
    """A seal with the right number of rows and another digest names its job as corrupt."""
    values = a_pass(1, 0, 2)
    wrong = codec.encode(JobSealed(job_id=1, rows=2, digest=1))
    records = [FakeRecord(at, value) for at, value in enumerate([*values[:-1], wrong])]
    accepted = accept(decode_records(records, 0, 1), START)
    assert accepted.corrupt == (1,)
    assert accepted.state.open_job_id == 1


def test_a_delserts_leaf_is_indexed_before_its_seal() -> None:
    """Rows of a delsert go straight to the leaf; the indexes come with the seal."""
    story, state = applied(a_pass(1, 0, 2, "delsert"), [])
    assert story == ["opened 1", "row 1/1", "row 1/2", "indexed", "sealed 1"]
    assert state.is_indexed


def test_another_producers_row_during_a_delsert_needs_the_index() -> None:
    """What must find a row by its key cannot go to a leaf without indexes."""
    values = a_pass(1, 0, 2, "delsert")
    foreign = codec.encode(
        UserRow(event_id="e", mode="delete", key="k", present=0, occurred_at=NOW)
    )
    story, _ = applied([*values[:2], foreign, *values[2:]], [2, 3])
    assert story == [
        "opened 1", "row 1/1", "indexed", "row 1/None", "row 1/2", "sealed 1",
    ]  # fmt: skip


def test_another_producers_row_counts_at_any_time() -> None:
    """It needs no job, and moves no job's sequence."""
    foreign = codec.encode(
        UserRow(event_id="e", mode="upsert", key="k", present=0, occurred_at=NOW)
    )
    story, state = applied([foreign], [])
    assert story == ["row None/None"]
    assert state == replace(START, next_offset=1)
