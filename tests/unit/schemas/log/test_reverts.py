"""The log decides which jobs are reverted, alike for everyone who reads it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.events import JobCancelled, JobFailed, JobRestored, JobReverted, JobVoided, UndoQueued
from schemas.log.reverts import Reverts
from tests.support.models.file_oracle import accepted_job

if TYPE_CHECKING:
    from schemas.events import Event, JobAccepted

START = datetime(2026, 1, 1, tzinfo=UTC)


def accepted(job_id: int, attempt: str = "accepted") -> JobAccepted:
    """A job."""
    return replace(accepted_job(), job_id=job_id, attempt=attempt)


def reverted(job_id: int, attempt: str, inserted: int = 0) -> JobReverted:
    """An undo."""
    return JobReverted(
        job_id=job_id,
        attempt=attempt,
        requested_at=START,
        requested_by="admin",
        inserted=inserted,
        updated=0,
        unchanged=0,
        rejected=0,
    )


def restored(job_id: int, attempt: str) -> JobRestored:
    """An undo of it."""
    return JobRestored(job_id=job_id, attempt=attempt, requested_at=START, requested_by="admin")


def cancelled(job_id: int, attempt: str) -> JobCancelled:
    """A cancellation."""
    return JobCancelled(job_id=job_id, attempt=attempt, requested_at=START, requested_by="admin")


def failed(job_id: int, attempt: str) -> JobFailed:
    """A failure."""
    return JobFailed(
        job_id=job_id, attempt=attempt, failed_at=START, code="FILE_LOST", reason="lost"
    )


def queued(job_id: int, attempt: str) -> UndoQueued:
    """An undo that waits for the job's end."""
    return UndoQueued(job_id=job_id, attempt=attempt, requested_at=START, requested_by="admin")


def reverts_of(*events: Event) -> Reverts:
    """What these events say, one recorded each minute."""
    reverts = Reverts()
    for offset, event in enumerate(events):
        reverts.apply(offset, event, START + timedelta(minutes=offset))
    return reverts


def test_a_revert_counts_once_and_a_restore_takes_it_back() -> None:
    """Only where it changes anything."""
    reverts = reverts_of(
        accepted(7), reverted(7, "a", 3), reverted(7, "b", 4), restored(7, "c"), restored(7, "d")
    )

    decisions = [reverts.decision(7, attempt) for attempt in "abcde"]
    assert decisions == ["counts", "changes nothing", "counts", "changes nothing", None]
    assert reverts.now() == frozenset()
    assert reverts.reverted(7) is None


def test_a_cancelled_job_is_reverted_for_good() -> None:
    """No redo brings it back; what is undone already is not cancelled as well."""
    reverts = reverts_of(
        accepted(7), cancelled(7, "a"), restored(7, "b"), reverted(7, "c"), cancelled(7, "d"),
        accepted(8), reverted(8, "e"), cancelled(8, "f"), restored(8, "g"),
    )  # fmt: skip

    assert [reverts.decision(7, attempt) for attempt in "abcd"] == ["counts"] + [
        "changes nothing"
    ] * 3
    assert [reverts.decision(8, attempt) for attempt in "efg"] == [
        "counts",
        "changes nothing",
        "counts",
    ]
    assert reverts.reverted(7) == cancelled(7, "a")
    assert (reverts.now(), reverts.cancelled()) == (frozenset({7}), frozenset({7}))


def test_an_undo_is_queued_until_the_job_is_reverted() -> None:
    """It reverts nothing by itself, and is queued once; a cancellation takes its place."""
    waiting = reverts_of(accepted(7), queued(7, "a"), queued(7, "b"), restored(7, "c"))
    begun = reverts_of(accepted(7), queued(7, "a"), reverted(7, "a-1"), queued(7, "b"))
    instead = reverts_of(accepted(7), queued(7, "a"), cancelled(7, "b"), reverted(7, "a-1"))

    assert (waiting.now(), dict(waiting.queued())) == (frozenset(), {7: queued(7, "a")})
    assert [waiting.decision(7, attempt) for attempt in "abc"] == ["counts"] + [
        "changes nothing"
    ] * 2
    assert (begun.now(), dict(begun.queued())) == ({7}, {})
    assert [begun.decision(7, attempt) for attempt in ("a-1", "b")] == ["counts", "changes nothing"]
    assert instead.reverted(7) == cancelled(7, "b")
    assert (instead.cancelled(), dict(instead.queued())) == ({7}, {})
    assert not reverts_of(queued(7, "a"), accepted(7)).queued()


def test_of_a_job_that_is_reverted_the_event_that_did_it_is_known() -> None:
    """It has the job's counts, which no table has any more."""
    reverts = reverts_of(
        accepted(7), reverted(7, "a", 3), restored(7, "b"), reverted(7, "c", 5), reverted(7, "d", 6)
    )

    assert reverts.reverted(7) == reverted(7, "c", 5)


def test_a_job_that_is_not_known_cannot_be_reverted() -> None:
    """Not even by a record that stands before its acceptance, or of an attempt that was voided."""
    reverts = reverts_of(
        reverted(7, "a"),
        accepted(7),
        JobVoided(job_id=8, attempt="accepted"),
        accepted(8),
        reverted(8, "b"),
    )

    assert reverts.now() == frozenset()
    assert (reverts.is_known(7), reverts.is_known(8)) == (True, False)


def test_an_attempt_that_was_voided_first_never_counts() -> None:
    """So a record that arrives late cannot turn a 503 into an undo; a void after it is late."""
    reverts = reverts_of(
        accepted(7),
        JobVoided(job_id=7, attempt="a"),
        reverted(7, "a"),
        reverted(7, "b"),
        JobVoided(job_id=7, attempt="b"),
    )

    assert [reverts.decision(7, attempt) for attempt in "ab"] == ["voided", "counts"]
    assert reverts.now() == {7}


def test_an_attempt_that_stands_twice_in_the_log_counts_once() -> None:
    """Not a second time after something else was decided in between."""
    reverts = reverts_of(accepted(7), reverted(7, "a"), restored(7, "b"), reverted(7, "a"))

    assert reverts.now() == frozenset()


def test_the_set_is_known_as_it_was() -> None:
    """At a time, at an offset and at the acceptance of a job."""
    reverts = reverts_of(
        accepted(7), accepted(8), reverted(7, "a"), accepted(9), reverted(8, "b"), restored(7, "c")
    )

    def at(minutes: float) -> set[int]:
        return set(reverts.at_time(START + timedelta(minutes=minutes)))

    assert [at(minutes) for minutes in (-1, 1.9, 2, 3, 4, 5)] == [
        set(), set(), {7}, {7}, {7, 8}, {8},
    ]  # fmt: skip
    assert [set(reverts.at_offset(offset)) for offset in range(7)] == [
        set(), set(), set(), {7}, {7}, {7, 8}, {8},
    ]  # fmt: skip
    assert [set(reverts.before_job(job_id)) for job_id in (7, 8, 9)] == [set(), set(), {7}]
    with pytest.raises(KeyError):
        reverts.before_job(10)


def test_a_job_that_was_cancelled_later_is_left_out_of_every_earlier_time() -> None:
    """Also as of the job itself: nobody is shown what has never run."""
    reverts = reverts_of(
        accepted(7), accepted(8), reverted(7, "a"), restored(7, "b"), cancelled(7, "c")
    )

    assert reverts.at_time(START) == {7}
    assert [set(reverts.at_offset(offset)) for offset in range(6)] == [{7}] * 6
    assert (reverts.before_job(7), reverts.before_job(8)) == ({7}, {7})


job_ids, attempts = st.integers(1, 3), st.sampled_from("abcdef")
events = st.one_of(
    st.builds(accepted, job_ids, attempts),
    st.builds(reverted, job_ids, attempts),
    st.builds(restored, job_ids, attempts),
    st.builds(cancelled, job_ids, attempts),
    st.builds(queued, job_ids, attempts),
    st.builds(JobVoided, job_id=job_ids, attempt=attempts),
)


@given(st.lists(events, max_size=30), st.integers(0, 30))
def test_what_was_decided_stands(log: list[Event], read_up_to: int) -> None:
    """What one reader knew at some offset, every later reader finds of that offset again.

    But what was cancelled later has never been.
    """
    early, late = reverts_of(*log[:read_up_to]), reverts_of(*log)

    assert early.now() | late.cancelled() == late.at_offset(read_up_to)
    for attempt in [(job_id, name) for job_id in (1, 2, 3) for name in "abcdef"]:
        assert early.decision(*attempt) in {None, late.decision(*attempt)}
    assert all(late.is_known(job_id) and late.reverted(job_id) for job_id in late.now())
    assert not late.now() & late.queued().keys()


def test_a_failed_job_is_reverted_for_good() -> None:
    """No redo brings it back, also where it was undone before, and what is queued goes with it."""
    reverts = reverts_of(
        accepted(7), accepted(8), queued(7, "a"), failed(7, "b"), restored(7, "c"), failed(7, "d"),
        reverted(8, "e"), failed(8, "f"), restored(8, "g"),
    )  # fmt: skip

    decisions = [reverts.decision(7, attempt) for attempt in "abcd"]
    assert decisions == ["counts", "counts", "changes nothing", "changes nothing"]
    assert [reverts.decision(8, attempt) for attempt in "efg"] == [
        "counts", "counts", "changes nothing",
    ]  # fmt: skip
    assert reverts.now() == reverts.at_offset(0) == reverts.before_job(8) == {7, 8}
    assert isinstance(reverts.reverted(7), JobFailed)
    assert isinstance(reverts.reverted(8), JobFailed)
    assert not reverts.queued()


def test_a_job_that_was_cancelled_stays_so_where_it_fails() -> None:
    """The publisher learns that it failed; what its status says never goes back."""
    reverts = reverts_of(accepted(7), cancelled(7, "a"), failed(7, "b"), failed(9, "c"))

    assert isinstance(reverts.reverted(7), JobCancelled)
    assert (reverts.now(), reverts.failed().keys()) == ({7}, {7})
