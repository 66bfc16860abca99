"""Whatever stands in `user-events`, the projection goes on, and all other records are applied."""

from __future__ import annotations

from datetime import UTC, datetime
from random import Random
from typing import TYPE_CHECKING, cast

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from schemas.codec import codec, framing
from schemas.events import RowRejected, UserRow
from schemas.log.storable import violation
from tests.support.data.any_events import AnyRecords
from tests.support.data.passes import MemoryRecord, make_pass
from tests.support.data.projection_scene import Scene
from tests.support.data.projector_scene import ProjectorDriver
from tests.support.models.model import Job, Model
from tests.support.models.verdict import assert_outcomes, assert_users, select
from tests.support.servers.surroundings import PARTITIONS

if TYPE_CHECKING:
    from schemas.events import JobMode
    from tests.support.servers.surroundings import Ground

NOW = datetime(2026, 3, 1, tzinfo=UTC)
_HEADER = "First Name,Last Name,Email,Mobile Number,Country,State,Last Active Date"


def _job(job_id: int, mode: JobMode) -> Job:
    lines = [
        f"{'' if number % 3 == 2 else 'Ada'},{job_id},u{number}@example.com,,France,,2024-02-29"
        for number in range(9)
    ]
    return Job(
        job_id=job_id, mode=mode, content="\n".join([_HEADER, *lines]).encode(), accepted_at=NOW
    )


JOBS = [_job(11, "insert"), _job(12, "delsert"), _job(13, "upsert")]
IDS = [job.job_id for job in JOBS]


@settings(
    max_examples=30,
    deadline=None,
    suppress_health_check=[
        HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large
    ],
)  # fmt: skip
@given(
    seed=st.integers(0, 2**32),
    most=st.integers(0, 3),
    sizes=st.lists(st.integers(1, 25), min_size=PARTITIONS, max_size=PARTITIONS),
)
def test_no_record_stops_the_projection(
    env: Ground, seed: int, most: int, sizes: list[int]
) -> None:
    """Jobs end as modelled, and only what is no record of theirs becomes a dead letter."""
    scene = Scene(env)
    theirs, unfit = _fill(scene, Random(seed), most)
    try:
        ProjectorDriver(scene).run(sizes)
    finally:
        scene.close()
    model = Model()
    for job in JOBS:
        model.apply(job)
    assert_users(env, model.users)
    assert_outcomes(env, model.outcomes)
    letters = _dead_letters(scene)
    assert not letters & theirs
    assert letters >= unfit


Places = set[tuple[int, int]]


def _fill(scene: Scene, rng: Random, most: int) -> tuple[Places, Places]:
    """The passes of all jobs, up to ``most`` other records before each of theirs.

    Returns:
        Where theirs stand, and what can't be held.
    """
    drawn = AnyRecords(rng, IDS)
    theirs: Places = set()
    unfit: Places = set()
    before = 0
    for job in JOBS:
        for partition, records in enumerate(make_pass(job, before, PARTITIONS)):
            log = scene.log.partitions[partition]
            for record in records:
                for _ in range(rng.randint(0, most)):
                    value = drawn.value()
                    if _is_unfit(value):
                        unfit.add((partition, len(log)))
                    poison = MemoryRecord(drawn.key(), value, -1, drawn.time_ms())
                    scene.log.append(partition, [poison])
                theirs.add((partition, len(log)))
                scene.log.append(partition, [record])
        before = job.job_id
    return theirs, unfit


def _is_unfit(value: bytes | None) -> bool:
    try:
        return violation(codec.decode(value)) is not None
    except codec.UndecodableError:
        # Rows are decoded many at once, which is not so strict with one that nobody counts.
        known = framing.type_of(value or b"")
        return known is None or known[0] not in {UserRow, RowRejected}


def _dead_letters(scene: Scene) -> set[tuple[int, int]]:
    rows = select(scene.env, f"SELECT headers FROM {scene.schema}.outbox WHERE headers ? 'reason'")
    headers = [cast("dict[str, str]", row["headers"]) for row in rows]
    return {(int(each["source-partition"]), int(each["source-offset"])) for each in headers}
