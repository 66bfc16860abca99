"""A job that can't be published fails, and whoever publishes ends it in every partition."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from ingest_api.errors import UploadLostError
from ingest_api.publisher.failing_jobs import failure_of
from schemas.codec import framing
from schemas.events import (
    ChunkRange,
    JobCancelled,
    JobOpened,
    JobSealed,
    LogConfigured,
    UserRow,
)
from tests.support.data.files import tidy_csv

if TYPE_CHECKING:
    from tests.support.clients.published_log import World

from tests.support.clients.published_log import TIMEOUT_S, decoded
from tests.support.waiting import wait_until


def is_end_of(event: object, job_id: int) -> bool:
    """Whether it seals the job."""
    return isinstance(event, JobSealed) and event.job_id == job_id


def last_seal(partition: list[bytes]) -> int:
    """The job that was sealed last."""
    return [event.job_id for _, event in decoded(partition) if isinstance(event, JobSealed)][-1]


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        pytest.param({"sha256": "0" * 64}, "FILE_LOST", id="another file"),
        pytest.param({"chunks": ChunkRange(partition=0, first_offset=9**9, last_offset=9**9,
                                           count=1)}, "FILE_LOST", id="no chunks"),
        pytest.param({"chunks": ChunkRange(partition=99, first_offset=0, last_offset=1, count=1)},
                     "FILE_LOST", id="no partition"),
        pytest.param({"lines": 7}, "FILE_CHANGED", id="more lines"),
        pytest.param({"lines": -1}, "FILE_CHANGED", id="less than no lines"),
        pytest.param({"charset": "klingon"}, "JOB_UNREADABLE", id="charset"),
        pytest.param({"delimiter": "ab"}, "JOB_UNREADABLE", id="delimiter"),
        pytest.param({"reconciliation_key": "shoe size"}, "JOB_UNREADABLE", id="key"),
        pytest.param({"compression": "lzip"}, "JOB_UNREADABLE", id="compression"),
    ],
)  # fmt: skip
def test_a_job_that_can_not_be_published_fails(
    world: World, changes: dict[str, Any], code: str
) -> None:
    """Those behind it go on: it is ended in every partition, as far as it came there."""
    configured = LogConfigured(reconciliation_key="email", configured_at=datetime.now(UTC))
    world.append(configured, world.topics.job_events.name)
    world.accept(1, tidy_csv([1]), **changes)
    world.accept(2, tidy_csv([2]))
    service = world.services.publisher(give_up_s="1")

    world.wait_sealed(2)

    [failed] = {event.job_id: event for event in world.failures()}.values()
    assert (failed.job_id, failed.code) == (1, code)
    assert failed.reason.endswith("upload the file again")
    for partition in world.log():
        events = [event for _, event in decoded(partition)]
        sealed = next(event for event in reversed(events)
                      if isinstance(event, JobSealed) and event.job_id == 1)  # fmt: skip
        opened = next(event for event in events
                      if isinstance(event, JobOpened) and event.job_id == 2)  # fmt: skip
        assert sealed == JobSealed(job_id=1, rows=0, digest=0, is_abandoned=True)
        assert (opened.job_id, opened.previous_job_id) == (2, 1)
    assert service.is_running


def test_a_job_that_failed_is_ended_by_whoever_comes_next(world: World) -> None:
    """The log says that it failed, so its file, were it there again, is not asked for."""
    accepted = world.accept(1, tidy_csv([1]))
    world.append(failure_of(1, UploadLostError("gone")), world.topics.job_events.name)
    job = world.accept(2, tidy_csv([2]))
    world.services.publisher()

    world.wait_sealed(2)

    assert [max(world.seals(each.job_id)) for each in (accepted, job)] == [1, 1]
    frame = framing.frame_of(UserRow)
    assert sum(value.startswith(frame) for values in world.log() for value in values) == 1


def test_a_published_job_never_fails_though_its_file_is_gone(world: World) -> None:
    """It may be applied, and its status lost with that of the next: this one is published again.

    Once that has ended, the first has, too.
    """
    world.accept(1, tidy_csv([1]))
    service = world.services.publisher(watchdog_s="1", give_up_s="1")
    world.wait_sealed(1)
    world.lose_files()
    job = world.accept(2, tidy_csv([2]))
    world.wait_sealed(2)

    for times in (2, 3, 4):
        world.commit_all_as_processors()
        world.wait_sealed(2, times=times)
    world.complete(job)
    last = world.accept(3, tidy_csv([3]))
    world.wait_sealed(3)
    world.commit_all_as_processors()
    world.wait_sealed(3, times=2)

    assert world.failures() == []
    assert [max(world.seals(job_id)) for job_id in (1, 2, last.job_id)] == [1, 4, 2]
    assert "published job is left as it is" in service.log_text()


@pytest.mark.parametrize("job_id", [1, 2])
def test_a_published_job_is_ended_by_its_cancellation(world: World, job_id: int) -> None:
    """The log has lost rows of it: who has looked cancels it, and those behind it go on.

    So does the one behind a job that is left as it is, since its file is gone.
    """
    world.accept(1, tidy_csv([1]))
    world.services.publisher(watchdog_s="1", give_up_s="1")
    world.wait_sealed(1)
    world.lose_files()
    world.accept(2, tidy_csv([2]))
    world.wait_sealed(2)
    cancelled = JobCancelled(
        job_id=job_id, attempt="c", requested_at=datetime.now(UTC), requested_by="operator"
    )
    world.append(cancelled, world.topics.job_events.name)

    world.commit_all_as_processors()
    world.wait_sealed(job_id, times=2)
    wait_until(lambda: set(map(last_seal, world.log())) == {2}, TIMEOUT_S)

    ends = [event for log in world.log() for _, event in decoded(log) if is_end_of(event, job_id)]
    assert [event.is_abandoned for event in ends] == [False, True] * len(world.log())
    assert world.failures() == []
