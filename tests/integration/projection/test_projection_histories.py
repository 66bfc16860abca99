"""The projection, driven without Kafka, comes to what the sequential model says.

However a log is cut into batches, whatever passes repeat in it, and whoever
holds the partitions in between.
"""

from __future__ import annotations

import itertools
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Self

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from processor.errors import SupersededError
from schemas.events import JOB_MODES
from schemas.read_model.tables import HIDE_CANCELLED
from tests.support.data.passes import make_pass
from tests.support.data.projection_scene import Scene
from tests.support.models.model import FIELDS, Job, Model
from tests.support.models.verdict import assert_outcomes, assert_users, select
from tests.support.servers.surroundings import PARTITIONS
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from schemas.events import JobMode
    from tests.support.data.passes import MemoryLog
    from tests.support.data.projection_scene import Worker
    from tests.support.models.verdict import Row
    from tests.support.servers.surroundings import Ground

START = datetime(2026, 3, 1, 12, 0, 0, 123456, tzinfo=UTC)
_LEAF = """
SELECT oid::regclass::text FROM pg_class
WHERE relkind = 'r' AND relname LIKE 'user_row_g%%_p0' AND oid::regclass::text LIKE %(schema)s
"""
_WAITING = """
SELECT FROM pg_locks JOIN pg_database ON pg_database.oid = database
WHERE NOT granted AND locktype = 'relation' AND datname = current_database()
"""
_HEADER = (
    "First Name,Last Name,Email,Mobile Number,Country,State,Last Active Date,SMS Subscription,"
    "Email Subscription"
)


@dataclass(frozen=True, slots=True)
class Turn:
    """How the next batch comes about: so many records of each partition, by whom.

    ``expects_new`` is the guess, wrong or right, that its rows are all new users.
    """

    sizes: list[int]
    is_new_owner: bool
    expects_new: bool


@pytest.fixture
def scene(env: Ground) -> Iterator[Scene]:
    """A scene without jobs."""
    made = Scene(env)
    yield made
    made.close()


Cells = tuple[int, str, str, *tuple[str, ...]]
"""A line: the number of its user, then first name, last name, mobile, country, state, day, and, if
it has more, the subscriptions to SMS and email."""

_cells = st.tuples(
    st.integers(0, 5),
    st.sampled_from(["Ada", "Grace", "Joan", "Lin", ""]),
    st.sampled_from(["Lovelace", "O'Brien, jr."]),
    st.sampled_from(["", "", "", "+4930123456", "oops"]),
    st.sampled_from(["France", "Japan", "India", "USA", ""]),
    st.sampled_from(["", "Texas"]),
    st.sampled_from(["", "2024-02-29", "12/31/2023"]),
    st.sampled_from(["", "true", "false"]),
    st.sampled_from(["", "", "true", "false", "oops"]),
)
_turns = st.lists(
    st.builds(
        Turn,
        sizes=st.lists(st.integers(0, 15), min_size=PARTITIONS, max_size=PARTITIONS).map(
            lambda sizes: sizes if all(sizes) else [size + 1 for size in sizes]
        ),
        is_new_owner=st.sampled_from([False, False, False, True]),
        expects_new=st.booleans(),
    ),
    min_size=1,
    max_size=5,
)
_lines = st.lists(_cells, min_size=1, max_size=12)
_modes = st.sampled_from(JOB_MODES)
OPTIONS = st.fixed_dictionaries(
    {
        "fills": st.sampled_from([(), (), ("first_name", "mobile_number"), FIELDS]),
        "keeps_opt_outs": st.sampled_from([True, True, False]),
        "drops_invalid": st.booleans(),
    }
)
"""Of jobs, as the model has them."""
_jobs = st.lists(st.tuples(_modes, _lines, OPTIONS), min_size=1, max_size=4)


def job_of(number: int, mode: JobMode, lines: list[Cells], **options: Any) -> Job:
    """The job with this place in the order of jobs."""
    rows = [
        f'{first},"{last}",user{key}@example.com,{",".join([*rest, "", ""][:6])}'
        for key, first, last, *rest in lines
    ]
    return Job(
        job_id=1000 + number * 7 % 5,  # ids are in no order of jobs
        mode=mode,
        content="\n".join([_HEADER, *rows]).encode(),
        accepted_at=START + timedelta(days=number),
        **options,
    )


def _fill(log: MemoryLog, jobs: list[Job], data: st.DataObject) -> None:
    """Append every job's pass, with pieces of passes repeated before, between and after."""
    passes = [
        make_pass(job, before.job_id if before else 0, PARTITIONS)
        for before, job in zip([None, *jobs[:-1]], jobs, strict=True)
    ]
    for number, whole in enumerate(passes):
        for partition in range(PARTITIONS):
            begun = whole[partition]
            log.append(partition, begun[: data.draw(st.integers(0, len(begun)))])
            log.append(partition, whole[partition])
            late = passes[data.draw(st.integers(0, number))][partition]
            begin = data.draw(st.integers(0, len(late)))
            log.append(partition, late[begin : data.draw(st.integers(begin, len(late)))])


@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(jobs=_jobs, data=st.data())
def test_every_cut_and_every_repeat_comes_to_the_model(
    env: Ground,
    jobs: list[tuple[JobMode, list[Cells], dict[str, Any]]],
    data: st.DataObject,
) -> None:
    """Batches of any sizes, repeated pieces of passes, changing owners: one result."""
    history = [
        job_of(number, mode, lines, **options) for number, (mode, lines, options) in enumerate(jobs)
    ]
    scene = Scene(env)
    _fill(scene.log, history, data)
    try:
        owner = scene.worker()
        for turn in itertools.cycle(data.draw(_turns)):
            if turn.is_new_owner:
                former, owner = owner, scene.worker()
                _assert_superseded(former, scene.log)
            owner.expects_new = turn.expects_new
            owner.project(scene.log, turn.sizes)
            if owner.is_at_end(scene.log):
                break
    finally:
        scene.close()
    model = Model()
    for job in history:
        model.apply(job)
    assert_users(env, model.users)
    assert_outcomes(env, model.outcomes)
    _assert_replay_is_the_same(scene)


def _assert_replay_is_the_same(scene: Scene) -> None:
    """The same log in one batch, into new tables: the same rows, ids and times included."""
    users = select(scene.env, "SELECT * FROM users ORDER BY key")
    again = Scene(scene.env, scene.log)
    try:
        again.worker().project(scene.log, [10_000] * PARTITIONS)
    finally:
        again.close()
    assert select(scene.env, "SELECT * FROM users ORDER BY key") == users
    assert _job_rows(again) == _job_rows(scene)


def _job_rows(scene: Scene) -> list[Row]:
    """The jobs as the log alone decides them, with the versions of their last statuses."""
    jobs = select(scene.env, f"SELECT * FROM {scene.schema}.job ORDER BY job_id")
    partitions = f"SELECT * FROM {scene.schema}.job_partition ORDER BY job_id, partition"
    return jobs + select(scene.env, partitions)


def _assert_superseded(former: Worker, log: MemoryLog) -> None:
    try:
        was_anything_left = former.project(log, [20] * PARTITIONS)
    except SupersededError:
        return
    assert not was_anything_left


def test_a_superseded_worker_changes_nothing(scene: Scene) -> None:
    """A worker that lost its claim writes no row, and the new owner's work is whole."""
    job = job_of(0, "insert", [(key, "Ada", "L", "", "France", "", "") for key in range(6)])
    for partition, records in enumerate(make_pass(job, 0, PARTITIONS)):
        scene.log.append(partition, records)
    former, owner = scene.worker(), scene.worker()
    with pytest.raises(SupersededError):
        former.project(scene.log, [100] * PARTITIONS)
    assert_users(scene.env, {})
    owner.project(scene.log, [100] * PARTITIONS)
    model = Model()
    model.apply(job)
    assert_users(scene.env, model.users)
    assert_outcomes(scene.env, model.outcomes)


def test_a_batch_that_was_committed_is_not_applied_again(scene: Scene) -> None:
    """A worker whose commit's answer was lost does not write the batch a second time."""
    job = job_of(0, "upsert", [(1, "Ada", "L", "", "France", "", "")] * 3)
    for partition, records in enumerate(make_pass(job, 0, PARTITIONS)):
        scene.log.append(partition, records)
    worker = scene.worker()
    states = dict(worker.states)
    worker.project(scene.log, [100] * PARTITIONS)
    worker.states = states
    with pytest.raises(SupersededError):
        worker.project(scene.log, [100] * PARTITIONS)
    model = Model()
    model.apply(job)
    assert_outcomes(scene.env, model.outcomes)


def test_a_worker_waits_some_seconds_only_for_rows_that_a_frozen_one_holds(scene: Scene) -> None:
    """Its batch is lost, and so it can claim, which is what ends the frozen one's session."""
    job = job_of(0, "insert", [(key, "Ada", "L", "", "France", "", "") for key in range(6)])
    for partition, records in enumerate(make_pass(job, 0, PARTITIONS)):
        scene.log.append(partition, records)
    worker = scene.worker()
    worker.project(scene.log, [1] * PARTITIONS)
    with psycopg.connect(scene.env.conninfo) as frozen:
        frozen.execute(f"SELECT FROM {scene.schema}.job FOR UPDATE".encode())
        with pytest.raises(psycopg.errors.LockNotAvailable):
            worker.project(scene.log, [100] * PARTITIONS)
    worker.claim()
    worker.project(scene.log, [100] * PARTITIONS)
    model = Model()
    model.apply(job)
    assert_users(scene.env, model.users)
    assert_outcomes(scene.env, model.outcomes)


def test_a_partition_waits_for_no_rows_that_another_still_writes(scene: Scene) -> None:
    """Also where that one was the first to have the job; in the end the job is whole."""
    job = job_of(0, "upsert", [(key, "Ada", "L", "", "France", "", "") for key in range(6)])
    for partition, records in enumerate(make_pass(job, 0, PARTITIONS)):
        scene.log.append(partition, records)
    slow, other = scene.worker(), scene.worker()
    slow.claim([0])
    other.claim(range(1, PARTITIONS))
    slow.session.connection().execute("SET lock_timeout = 0")
    with ThreadPoolExecutor(1) as pool, psycopg.connect(scene.env.conninfo) as holder:
        leaf = holder.execute(_LEAF, {"schema": f"{scene.schema}.%"}).fetchone()
        assert leaf is not None
        holder.execute(f"LOCK TABLE {leaf[0]}".encode())
        writing = pool.submit(slow.project, scene.log, [100] * PARTITIONS)
        wait_until(lambda: select(scene.env, _WAITING), 60, saying="it waits for its rows")
        assert other.project(scene.log, [100] * PARTITIONS)
        assert not writing.done()
        holder.rollback()
        assert writing.result()
    model = Model()
    model.apply(job)
    assert_users(scene.env, model.users)
    assert_outcomes(scene.env, model.outcomes)


def test_readers_see_a_delsert_only_when_it_is_whole(scene: Scene) -> None:
    """Until its last JobSealed has been applied the old users are all there, and only they."""
    old = job_of(0, "insert", [(key, "Ada", "L", "", "France", "", "") for key in range(3)])
    new = job_of(1, "delsert", [(key, "Eve", "M", "", "Japan", "", "") for key in range(2, 12)])
    for job, previous in ((old, 0), (new, old.job_id)):
        for partition, records in enumerate(make_pass(job, previous, PARTITIONS)):
            scene.log.append(partition, records)
    model = Model()
    model.apply(old)
    before = dict(model.users)
    model.apply(new)
    worker = scene.worker()
    for partition, records in enumerate(scene.log.partitions):
        for _ in records:
            turn = [int(other == partition) for other in range(PARTITIONS)]
            worker.project(scene.log, turn)
            is_whole = all(
                worker.states[other].sealed_job_id == new.job_id for other in range(PARTITIONS)
            )
            if worker.states[0].sealed_job_id == old.job_id and partition > 0:
                assert_users(scene.env, model.users if is_whole else before)
    assert_users(scene.env, model.users)


@pytest.mark.parametrize("has_ended", [False, True])
def test_a_delsert_that_is_cancelled_before_its_end_is_never_shown(
    scene: Scene, *, has_ended: bool
) -> None:
    """One that was shown stays, until tables without it take the place of these."""
    old = job_of(0, "insert", [(key, "Ada", "L", "", "France", "", "") for key in range(3)])
    new = job_of(1, "delsert", [(key, "Eve", "M", "", "Japan", "", "") for key in range(2, 12)])
    for job, previous in ((old, 0), (new, old.job_id)):
        for partition, records in enumerate(make_pass(job, previous, PARTITIONS)):
            scene.log.append(partition, records)
    model = Model()
    model.apply(old)
    before = dict(model.users)
    model.apply(new)
    all_but_one = [len(records) for records in scene.log.partitions]
    all_but_one[-1] -= 1
    worker = scene.worker()
    worker.project(scene.log, [100] * PARTITIONS if has_ended else all_but_one)

    with psycopg.connect(scene.env.conninfo) as connection:
        hidden = connection.execute(HIDE_CANCELLED, {"job_ids": [new.job_id]}).fetchall()
    worker.project(scene.log, [100] * PARTITIONS)

    assert hidden == ([] if has_ended else [(new.job_id,)])
    assert_users(scene.env, model.users if has_ended else before)


def test_repeated_keys_are_taken_out_of_a_leaf_that_is_read_a_few_times(scene: Scene) -> None:
    """Whatever their number: without an index a nested loop would read it once a key."""
    lines: list[Cells] = [(key % 20, "Ada", "L", "", "France", "", "") for key in range(60)]
    job = job_of(0, "delsert", lines)
    for partition, records in enumerate(make_pass(job, 0, PARTITIONS)):
        scene.log.append(partition, records)
    plans: list[str] = []

    class Explained(psycopg.Cursor[Any]):
        """Notes the plan of what takes repeats out, as the session would make it."""

        def execute(self, query: Any, *args: Any, **options: Any) -> Self:
            text = str(query.as_string(self)) if hasattr(query, "as_string") else ""
            if text.lstrip().startswith("WITH repeated"):
                super().execute(f"EXPLAIN {text}".encode())
                plans.append("\n".join(row[0] for row in self.fetchall()))
            return super().execute(query, *args, **options)

    worker = scene.worker()
    worker.expects_new = True
    worker.session.connection().cursor_factory = Explained
    worker.project(scene.log, [100] * PARTITIONS)

    assert len(plans) == PARTITIONS
    assert [plan for plan in plans if "Nested Loop" in plan] == []
    model = Model()
    model.apply(job)
    assert_users(scene.env, model.users)
    assert_outcomes(scene.env, model.outcomes)


def test_of_two_delserts_that_end_together_the_later_one_counts(scene: Scene) -> None:
    """Whichever of them has the higher job id."""
    jobs = [
        job_of(number, "delsert", [(number, "Ada", "L", "", "France", "", "")])
        for number in (1, 2, 3, 4)
    ]
    model = Model()
    previous = 0
    for job in jobs:
        for partition, records in enumerate(make_pass(job, previous, PARTITIONS)):
            scene.log.append(partition, records)
        previous = job.job_id
        model.apply(job)
    scene.worker().project(scene.log, [100] * PARTITIONS)
    assert_users(scene.env, model.users)
    assert_outcomes(scene.env, model.outcomes)
