"""Commits whose answer is lost, with the next batch in the hands of the projector already."""

from __future__ import annotations

import contextlib
import itertools
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from tests.support.data.passes import make_pass
from tests.support.data.projection_scene import Scene
from tests.support.data.projector_scene import ProjectorDriver
from tests.support.models.model import Job, Model
from tests.support.models.verdict import assert_outcomes, assert_users
from tests.support.servers.surroundings import PARTITIONS

if TYPE_CHECKING:
    from schemas.events import JobMode
    from tests.support.servers.surroundings import Ground

_HEADER = "First Name,Last Name,Email,Mobile Number,Country,State,Last Active Date"


def job(job_id: int, mode: JobMode, name: str, keys: range) -> Job:
    """A job of users of this name."""
    lines = [f"{name},L,user{key}@example.com,,France,," for key in keys]
    content = "\n".join([_HEADER, *lines]).encode()
    return Job(
        job_id=job_id, mode=mode, content=content, accepted_at=datetime(2026, 3, 1, tzinfo=UTC)
    )


@pytest.mark.parametrize("lost", range(6))
def test_whichever_answer_is_lost_rows_go_where_they_belong(
    env: Ground, monkeypatch: pytest.MonkeyPatch, lost: int
) -> None:
    """Also those of a delsert, which were to go where the lost batch would have said."""
    jobs = [job(11, "insert", "Ada", range(6)), job(12, "delsert", "Eve", range(3, 9))]
    with contextlib.closing(Scene(env)) as scene:
        for each, previous in zip(jobs, (0, 11), strict=True):
            for partition, records in enumerate(make_pass(each, previous, PARTITIONS)):
                scene.log.append(partition, records)
        driver = ProjectorDriver(scene)
        project, answers = driver.projection.project, itertools.count()

        def answer_lost(*arguments: Any) -> dict[int, int]:
            answer = project(*arguments)
            if next(answers) == lost:
                raise psycopg.OperationalError("the connection was cut")
            return answer

        monkeypatch.setattr(driver.projection, "project", answer_lost)
        driver.run([1] * PARTITIONS)
    assert driver.claims == 3  # at first, after the loss, and at the end
    model = Model()
    for each in jobs:
        model.apply(each)
    assert_users(env, model.users)
    assert_outcomes(env, model.outcomes)
