"""Records of our own types that the tables can't hold: each becomes a dead letter, alone.

They stand where a worker met them and ended again and again: before a job, between the
rows of the one that is open, in the place of a line, and after its end.
"""

from __future__ import annotations

import threading
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, cast

import psycopg
import pytest

from schemas.codec import codec
from schemas.events import JobOpened, JobSealed, RowErased, RowRejected, UserRow
from tests.support.data.passes import MemoryRecord, make_pass
from tests.support.data.projection_scene import Scene
from tests.support.data.projector_scene import ProjectorDriver
from tests.support.models.model import Job, Model
from tests.support.models.verdict import assert_outcomes, assert_users, select
from tests.support.servers.surroundings import PARTITIONS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from schemas.events import Event, JobMode
    from tests.support.servers.surroundings import Ground

NOW = datetime(2026, 3, 1, tzinfo=UTC)
_HEADER = "First Name,Last Name,Email,Mobile Number,Country,State,Last Active Date"
_AFTER_THE_CALENDAR: Any = 2_932_897
_AFTER_ALL_TIME: Any = 253_402_300_800_000_000


def job(job_id: int, mode: JobMode) -> Job:
    """Twelve lines of which every third is refused."""
    lines = [
        f"{'' if number % 3 == 2 else 'Ada'},{job_id},u{number}@example.com,,France,,2024-02-29"
        for number in range(12)
    ]
    return Job(
        job_id=job_id, mode=mode, content="\n".join([_HEADER, *lines]).encode(), accepted_at=NOW
    )


JOBS = [job(11, "insert"), job(12, "upsert"), job(13, "delsert"), job(14, "insert")]
OPENED = JobOpened(
    job_id=12, previous_job_id=11, mode="upsert", lines=1, file_name=None, sha256="",
    accepted_at=NOW, accepted_by="a",
)  # fmt: skip
ROW = UserRow(
    job_id=12, record_number=1, line=2, sequence=0, mode="upsert", key="u0@example.com",
    first_name="Eve", last_name="L", email="u0@example.com", country="Japan", present=23,
    occurred_at=NOW, raw="",
)  # fmt: skip
REJECTED = RowRejected(
    job_id=12, record_number=1, line=2, sequence=0, column=None, code="REQUIRED", reason="r",
    value=None, raw="",
)  # fmt: skip
ERASED = RowErased(job_id=12, record_number=1, line=2, sequence=0, outcome="rejected")
UNFIT: dict[str, tuple[Event, str]] = {
    "opened, NUL in the file's name": (replace(OPENED, file_name="a\0b"), "NUL_CHARACTER"),
    "opened, NUL in the account": (replace(OPENED, accepted_by="\0"), "NUL_CHARACTER"),
    "opened, NUL in the digest": (replace(OPENED, sha256="\0"), "NUL_CHARACTER"),
    "opened, after all time": (replace(OPENED, accepted_at=_AFTER_ALL_TIME), "MALFORMED"),
    "opened, job 0": (replace(OPENED, job_id=0), "OUT_OF_RANGE"),
    "opened, job -1": (replace(OPENED, job_id=-1), "OUT_OF_RANGE"),
    "sealed, job -1": (JobSealed(job_id=-1, rows=0, digest=0), "OUT_OF_RANGE"),
    "rejected, NUL in the line": (replace(REJECTED, raw="\0"), "NUL_CHARACTER"),
    "rejected, NUL in the reason": (replace(REJECTED, reason="\0"), "NUL_CHARACTER"),
    "rejected, job -1": (replace(REJECTED, job_id=-1), "OUT_OF_RANGE"),
    "rejected, job 0": (replace(REJECTED, job_id=0), "OUT_OF_RANGE"),
    "row, NUL in a name": (replace(ROW, first_name="\0"), "NUL_CHARACTER"),
    "row, NUL in the line": (replace(ROW, raw="\0"), "NUL_CHARACTER"),
    "row, NUL in the key": (replace(ROW, key="\0"), "NUL_CHARACTER"),
    "row, NUL in an attribute": (replace(ROW, attributes={"a": "\0"}), "NUL_CHARACTER"),
    "row, NUL in an attribute's name": (replace(ROW, attributes={"\0": "a"}), "NUL_CHARACTER"),
    "row, a key that no index takes": (replace(ROW, key="k" * 10_000), "KEY_TOO_LONG"),
    "row, an endless attribute": (replace(ROW, attributes={"a": "1" * 200_000}), "TOO_LONG"),
    "row, job -1": (replace(ROW, job_id=-1), "OUT_OF_RANGE"),
    "row, job 0": (replace(ROW, job_id=0), "OUT_OF_RANGE"),
    "row, after the calendar": (replace(ROW, last_active_date=_AFTER_THE_CALENDAR), "MALFORMED"),
    "row, after all time": (replace(ROW, occurred_at=_AFTER_ALL_TIME), "MALFORMED"),
    "row, a job deletes nobody": (replace(ROW, mode="delete"), "JOB_ID_NOT_ITS_OWN"),
    "erased, no record number": (replace(ERASED, record_number=None), "FIELD_MISSING"),
    "erased, no line": (replace(ERASED, line=None), "FIELD_MISSING"),
    "erased, no place": (replace(ERASED, sequence=None), "FIELD_MISSING"),
    "erased, job 0": (replace(ERASED, job_id=0), "OUT_OF_RANGE"),
}


@pytest.fixture
def scene(env: Ground) -> Iterator[Scene]:
    """A projection of the test's own, and its empty log."""
    made = Scene(env)
    yield made
    made.close()


def letters(scene: Scene) -> list[tuple[int, int, str]]:
    """Partition, offset and reason of each dead letter, in the order of the log."""
    rows = select(scene.env, f"SELECT headers FROM {scene.schema}.outbox WHERE headers ? 'reason'")
    headers = [cast("dict[str, str]", row["headers"]) for row in rows]
    return sorted(
        (int(each["source-partition"]), int(each["source-offset"]), each["reason"])
        for each in headers
    )


def assert_as_modelled(scene: Scene) -> None:
    """All jobs have ended, and users and outcomes are what they come to."""
    model = Model()
    for each in JOBS:
        model.apply(each)
    assert_users(scene.env, model.users)
    assert_outcomes(scene.env, model.outcomes)
    states = select(scene.env, "SELECT DISTINCT finished_at IS NULL AS open FROM jobs")
    assert states == [{"open": False}]


def fill(scene: Scene, events: list[Event]) -> list[tuple[int, int]]:
    """The log of all jobs with these events at every place of it; where they stand."""
    places: list[tuple[int, int]] = []
    before = 0
    for each in JOBS:
        for partition, records in enumerate(make_pass(each, before, PARTITIONS)):
            for at, record in enumerate(records):
                for event in events:
                    unfit = _in_place(event, each, at - 1)
                    places.append((partition, len(scene.log.partitions[partition])))
                    scene.log.append(partition, [MemoryRecord(b"k", codec.encode(unfit))])
                scene.log.append(partition, [record])
        before = each.job_id
    return places


def _in_place(event: Event, of: Job, sequence: int) -> Event:
    """The event as it would be of the line that comes next, but for what makes it unfit."""
    changes: dict[str, Any] = {}
    if getattr(event, "job_id", 0) == 12:
        changes["job_id"] = of.job_id
    if getattr(event, "sequence", None) is not None:
        changes["sequence"] = max(0, sequence)
    return replace(cast("Any", event), **changes)


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_each_becomes_a_dead_letter_and_every_job_ends(scene: Scene, size: int) -> None:
    """Whatever the batches; none takes the place of a line, and no record beside it is lost."""
    expected = [code for _, code in UNFIT.values()]
    places = fill(scene, [event for event, _ in UNFIT.values()])
    ProjectorDriver(scene).run([size] * PARTITIONS)

    assert_as_modelled(scene)
    repeated = expected * (len(places) // len(expected))
    wanted = [(*place, code) for place, code in zip(places, repeated, strict=True)]
    assert letters(scene) == sorted(wanted)


@pytest.mark.parametrize("name", UNFIT)
def test_the_detail_says_what_is_wrong(scene: Scene, name: str) -> None:
    """It names the field, and holds nothing that Postgres does not take."""
    event, code = UNFIT[name]
    scene.log.append(0, [MemoryRecord(b"k", codec.encode(event))])
    ProjectorDriver(scene).run([10] * PARTITIONS)

    (row,) = select(scene.env, f"SELECT headers, value FROM {scene.schema}.outbox")
    assert row["headers"]["reason"] == code
    assert row["headers"]["detail"]
    assert bytes(row["value"]) == codec.encode(event)


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_a_job_that_has_ended_does_not_begin_again(scene: Scene, size: int) -> None:
    """Its JobOpened after another job's end would hold up the next job for ever."""
    places: list[tuple[int, int, str]] = []
    before = 0
    for each in JOBS:
        for partition, records in enumerate(make_pass(each, before, PARTITIONS)):
            if before:
                again = replace(OPENED, job_id=11, previous_job_id=before, mode="delsert")
                offset = len(scene.log.partitions[partition])
                places.append((partition, offset, "JOB_REPEATED"))
                scene.log.append(partition, [MemoryRecord(b"k", codec.encode(again))])
            scene.log.append(partition, records)
        before = each.job_id
    ProjectorDriver(scene).run([size] * PARTITIONS)

    assert_as_modelled(scene)
    assert letters(scene) == sorted(places)


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_what_no_rule_knows_is_narrowed_down_to_its_record(scene: Scene, size: int) -> None:
    """A rejection whose number another one has: the tables refuse it, and the worker goes on.

    The rows that come after it in its pass are judged as if it were not there.
    """
    first, *_ = JOBS
    wanted: list[tuple[int, int, str]] = []
    before = 0
    for each in JOBS:
        for partition, records in enumerate(make_pass(each, before, PARTITIONS)):
            taken: RowRejected | None = None
            for at, record in enumerate(records):
                if taken is not None and each is first:
                    twin = replace(taken, sequence=at - 1)
                    place = partition, len(scene.log.partitions[partition])
                    wanted.append((*place, "NOT_STORABLE"))
                    scene.log.append(partition, [MemoryRecord(b"k", codec.encode(twin))])
                scene.log.append(partition, [record])
                event = codec.decode(record.value())
                taken = event if isinstance(event, RowRejected) else taken
        before = each.job_id
    assert wanted
    ProjectorDriver(scene).run([size] * PARTITIONS)

    assert_as_modelled(scene)
    assert letters(scene) == sorted(wanted)


def test_an_error_of_the_surroundings_is_nobodys_fault(scene: Scene) -> None:
    """A table that is locked makes no dead letter: the batch is lost, and comes again."""
    for partition, records in enumerate(make_pass(JOBS[0], 0, PARTITIONS)):
        scene.log.append(partition, records)
    driver = ProjectorDriver(scene)
    holder = psycopg.connect(scene.env.conninfo)
    holder.execute(f"LOCK TABLE {scene.schema}.rejection".encode())
    release = threading.Timer(7.0, holder.rollback)
    release.start()
    driver.run([100] * PARTITIONS)
    release.join()
    holder.close()

    assert driver.claims > 1
    assert letters(scene) == []
