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
    JobOpened,
    JobSealed,
    LogConfigured,
    UserRow,
)
from tests.support.data.files import tidy_csv

if TYPE_CHECKING:
    from tests.support.clients.published_log import World

from tests.support.clients.published_log import decoded


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
