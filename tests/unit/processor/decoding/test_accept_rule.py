"""The accept rule: whatever passes bring, each row counts once and in order."""

from __future__ import annotations

import itertools
import zlib
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from processor.decoding.accept_rule import (
    Defined,
    Erased,
    Indexed,
    Opened,
    PartitionState,
    Rows,
    Sealed,
    accept,
)
from processor.decoding.decode_records import decode_records
from processor.decoding.producer_rules import LogPartition
from schemas.codec import codec
from schemas.events import JobSealed, UserRow
from tests.support.data.passes import MemoryRecord
from tests.support.models.partition_pass import NOW, FakeRecord, a_pass

if TYPE_CHECKING:
    from processor.decoding.accept_rule import Accepted

PLACE = LogPartition(0, 1, "email")
START = PartitionState(0, epoch=1)


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
        batch = decode_records(records, PLACE)
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


def _of_another_producer(job_id: int, sequence: int | None, odd: dict[str, Any]) -> bytes:
    """A row that names a job as if it were of it, and is otherwise than its rows are."""
    place = {"record_number": 1, "line": 2, "sequence": sequence}
    row: dict[str, Any] = {**place, "job_id": job_id, "mode": "insert", "key": "k", **odd}
    return codec.encode(UserRow(present=0, occurred_at=NOW, **row))


_ODD = st.sampled_from(
    [{"source": "crm"}, {"source": ""}, {"event_id": "1"}, {"user_id": 7}, {"sequence": None},
     {"line": None}, {"record_number": None}]
)  # fmt: skip
_imitated = st.builds(
    _of_another_producer, st.integers(1, 4), st.one_of(st.none(), st.integers(0, 6)), _ODD
)


@settings(max_examples=300)
@given(logs(), st.lists(st.tuples(st.integers(0, 60), _imitated), max_size=4))
def test_a_row_of_no_pass_is_a_dead_letter_and_takes_no_line_s_place(
    log: tuple[list[int], list[bytes]], strewn: list[tuple[int, bytes]]
) -> None:
    """Whatever job it names; no row of any pass is one, however often and late it comes."""
    jobs, values = log
    forged = {value for _, value in strewn}
    for at, value in strewn:
        values.insert(min(at, len(values)), value)
    records = [FakeRecord(at, value) for at, value in enumerate(values)]
    letters = decode_records(records, PLACE).dead_letters
    assert [letter.offset for letter in letters] == [
        at for at, value in enumerate(values) if value in forged
    ]
    assert {letter.code for letter in letters} <= {"JOB_ID_NOT_ITS_OWN"}
    assert applied(values, [])[0] == expected_story(jobs)


@settings(max_examples=100)
@given(logs(), st.sets(st.integers(0, 60)))
def test_rows_whose_job_was_never_opened_here_are_no_dead_letters(
    log: tuple[list[int], list[bytes]], lost: set[int]
) -> None:
    """Acknowledged records that a broker lost may well be a job's first ones."""
    values = [value for at, value in enumerate(log[1]) if at not in lost]
    records = [FakeRecord(at, value) for at, value in enumerate(values)]
    assert not records or not decode_records(records, PLACE).dead_letters


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
    accepted = accept(decode_records(records, PLACE), START)
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
    producer_row = codec.encode(
        UserRow(event_id="e", mode="delete", key="k", present=0, occurred_at=NOW)
    )
    story, _ = applied([*values[:2], producer_row, *values[2:]], [2, 3])
    assert story == [
        "opened 1", "row 1/1", "indexed", "row 1/None", "row 1/2", "sealed 1",
    ]  # fmt: skip


def test_another_producers_row_counts_at_any_time() -> None:
    """It needs no job, and moves no job's sequence."""
    producer_row = codec.encode(
        UserRow(event_id="e", mode="upsert", key="k", present=0, occurred_at=NOW)
    )
    story, state = applied([producer_row], [])
    assert story == ["row None/None"]
    assert state == replace(START, next_offset=1)


PRODUCERS_ROW = UserRow(event_id="e", mode="upsert", key="k", present=0, occurred_at=NOW)
UNTOUCHED = replace(START, is_indexed=False)
"""Of tables that are being built: no leaf has an index yet."""


def accepted_whole(
    values: list[bytes], state: PartitionState = START, reverted: frozenset[int] = frozenset()
) -> Accepted:
    """What all values come to as one batch."""
    records = [FakeRecord(at, value) for at, value in enumerate(values)]
    return accept(decode_records(records, PLACE), state, reverted)


def kinds(accepted: Accepted) -> list[str]:
    """Which steps there are, in order."""
    return [type(step).__name__ for step in accepted.steps]


def test_of_a_reverted_job_only_its_refused_lines_count() -> None:
    """It is followed to its seal, so that the next job finds its place, and fills nothing."""
    values = a_pass(1, 0, 6, "delsert")
    producer_row = codec.encode(PRODUCERS_ROW)
    log = [*values[:3], producer_row, *values[3:], *a_pass(2, 1, 1)]
    accepted = accepted_whole(log, reverted=frozenset({1}))
    opened, rows, *_ = accepted.steps
    assert isinstance(opened, Opened)
    assert opened.is_reverted
    assert isinstance(rows, Rows)
    assert (len(rows.rows), len(rows.rejections), rows.is_filling) == (1, 2, False)
    assert kinds(accepted) == ["Opened", "Rows", "Sealed", "Opened", "Rows", "Sealed"]
    assert accepted.state.sealed_job_id == 2
    assert accepted.state.is_indexed


@settings(max_examples=100)
@given(logs(), st.lists(st.integers(0, 60), max_size=5), st.sets(st.integers(1, 3)))
def test_reverting_a_job_moves_no_other_record(
    log: tuple[list[int], list[bytes]], cuts: list[int], reverted: set[int]
) -> None:
    """However the log is cut, sequence, digest and seals are those of the job as it was."""
    _, values = log
    _, state = applied(values, [])
    edges = [0, *sorted({cut for cut in cuts if 0 < cut < len(values)}), len(values)]
    without = START
    for begin, end in itertools.pairwise(edges):
        records = [FakeRecord(at, values[at]) for at in range(begin, end)]
        batch = decode_records(records, PLACE)
        without = accept(batch, without, frozenset(reverted)).state
    assert without == state


def test_the_first_job_fills_tables_that_have_no_index() -> None:
    """As a delsert does: the indexes come with its seal."""
    values = a_pass(1, 0, 1)
    complete = codec.encode(
        UserRow(
            job_id=1, record_number=1, line=2, sequence=0, mode="insert", key="k", first_name="A",
            last_name="B", email="k", country="France", present=0, occurred_at=NOW,
        )
    )  # fmt: skip
    seal = JobSealed(job_id=1, rows=1, digest=zlib.crc32(complete))
    accepted = accepted_whole([values[0], complete, codec.encode(seal)], UNTOUCHED)
    assert kinds(accepted) == ["Opened", "Rows", "Indexed", "Sealed"]
    rows = accepted.steps[1]
    assert isinstance(rows, Rows)
    assert rows.is_filling


def test_a_row_that_may_not_add_a_user_fills_no_table() -> None:
    """What becomes of it is found out by its key."""
    accepted = accepted_whole(a_pass(1, 0, 1), UNTOUCHED)
    assert kinds(accepted) == ["Opened", "Indexed", "Rows", "Sealed"]


def test_an_upsert_and_another_producer_need_the_index() -> None:
    """Both look for users by their key."""
    accepted = accepted_whole(a_pass(1, 0, 1, "upsert"), UNTOUCHED)
    assert kinds(accepted) == ["Indexed", "Opened", "Rows", "Sealed"]
    accepted = accepted_whole([codec.encode(PRODUCERS_ROW)], UNTOUCHED)
    assert kinds(accepted) == ["Indexed", "Rows"]


def test_a_reverted_first_job_leaves_the_tables_untouched() -> None:
    """The next one fills them instead."""
    accepted = accepted_whole(a_pass(1, 0, 2), UNTOUCHED, frozenset({1}))
    assert kinds(accepted) == ["Opened", "Sealed"]
    assert not accepted.state.is_indexed


def test_brackets_carry_their_place_and_time() -> None:
    """As the log has them."""
    accepted = accepted_whole(a_pass(1, 0, 1))
    opened, _, sealed = accepted.steps
    assert isinstance(opened, Opened)
    assert isinstance(sealed, Sealed)
    assert (opened.offset, sealed.offset) == (0, 2)
    assert sealed.recorded_at - opened.recorded_at == timedelta(seconds=2)


@pytest.mark.parametrize("timestamp_ms", [-1, 2**62])
def test_a_time_that_no_clock_says_stops_nothing(timestamp_ms: int) -> None:
    """A producer may write any number there."""
    record = MemoryRecord(b"k", a_pass(1, 0, 0)[0], 0, timestamp_ms)
    (control,) = decode_records([record], PLACE).controls
    assert control.recorded_at.year in {1970, 9999}
