"""A replay from Kafka comes to what the live projection of the same log came to."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import psycopg
import pytest
from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient
from hypothesis import given
from hypothesis import strategies as st

from processor.builder import parallel_replay, replay
from processor.builder.table_comparison import RowDifference
from processor.errors import PassedStopError, RefusedToStartError, SupersededError
from tests.support.data.histories import delsert_history, large_history, random_history
from tests.support.data.replay_stage import (
    TIMEOUT_S,
    Stage,
    append,
    append_aborted,
    modelled,
    run,
    seeds,
)
from tests.support.models.verdict import assert_outcomes, assert_users, select
from tests.support.servers.surroundings import PARTITIONS

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.data.passes import MemoryLog
    from tests.support.servers.surroundings import Ground

pytestmark = pytest.mark.usefixtures("shared_work")


@seeds
@given(
    seed=st.integers(0, 2**32), batch=st.integers(1, 60), worth_sharing=st.sampled_from([0, 10_000])
)
def test_a_replay_is_what_the_live_projection_is(
    env: Ground, seed: int, batch: int, worth_sharing: int
) -> None:
    """Whatever the batches and processes, at any stop on the way and at the end, in every table."""
    rng = random.Random(seed)
    stage = Stage.of(env, random_history(rng, others=True).log)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(replay, "_MAX_BATCH", batch)
        patched.setattr(parallel_replay, "_WORTH_SHARING", worth_sharing)
        try:
            schema = stage.tables()
            again = stage.replay(schema)
            for stops in ([rng.randint(0, end) for end in stage.ends], stage.ends):
                run(again, stops)
                stage.project_live(stops, rng)
                assert stage.next_offsets(schema) == stops
                assert stage.differences(stage.live.schema, schema) == []
            assert select(env, f"SELECT * FROM {schema}.outbox") == []
        finally:
            stage.close()


@seeds
@given(seed=st.integers(0, 2**32))
def test_a_reverted_job_is_as_if_it_had_never_run(env: Ground, seed: int) -> None:
    """Users, and the outcomes of all other jobs, are those of the model without it."""
    rng = random.Random(seed)
    history = random_history(rng, others=False)
    reverted = frozenset(rng.sample([job.job_id for job in history.jobs], rng.randint(1, 2)))
    stage = Stage.of(env, history.log)
    try:
        schema = stage.tables()
        run(stage.replay(schema, reverted), stage.ends)
        stage.show(schema)
        model = modelled(history, reverted)
        assert_users(env, model.users)
        for job_id in reverted:
            rows = select(env, f"SELECT state, finished_at FROM jobs WHERE job_id = {job_id}")
            assert rows[0]["state"] == "REVERTED"
            assert rows[0]["finished_at"] is not None
            _forget(env, schema, job_id)
        assert_outcomes(env, model.outcomes)
    finally:
        stage.close()


def _forget(env: Ground, schema: str, job_id: int) -> None:
    with psycopg.connect(env.conninfo) as connection:
        for table in ("rejection", "job_partition", "job"):
            connection.execute(f"DELETE FROM {schema}.{table} WHERE job_id = {job_id}".encode())


def test_a_stop_within_a_reverted_delsert_leaves_no_leaf_without_indexes(
    staged: Callable[[MemoryLog], Stage],
) -> None:
    """It fills no audience of its own, so what readers see is the leaf that it began with."""
    history = delsert_history(rows=9)
    stage = staged(history.log)
    schema = stage.tables()
    run(stage.replay(schema, frozenset({history.jobs[0].job_id})), [1] * PARTITIONS)
    indexed = select(stage.env, f"SELECT is_indexed FROM {schema}.projection_offset")
    by_key = (
        f"SELECT FROM pg_indexes WHERE schemaname = '{schema}' AND indexname ~ '^user_row.*_key$'"
    )
    assert indexed == [{"is_indexed": True}] * PARTITIONS
    assert len(select(stage.env, by_key)) == PARTITIONS


def test_a_reverted_jobs_refused_lines_stay_listed(
    staged: Callable[[MemoryLog], Stage],
) -> None:
    """Those that were refused before they became rows."""
    history = random_history(random.Random(3), jobs=1, others=False)
    (job,) = history.jobs
    refused = [record for records in history.log.partitions for record in records]
    stage = staged(history.log)
    schema, whole = stage.tables(), stage.tables()
    run(stage.replay(schema, frozenset({job.job_id})), stage.ends)
    run(stage.replay(whole), stage.ends)
    assert refused
    before = select(stage.env, f"SELECT * FROM {whole}.rejection WHERE raw IS NOT NULL")
    after = select(stage.env, f"SELECT * FROM {schema}.rejection")
    counted = select(stage.env, f"SELECT sum(rejected) AS n FROM {schema}.job_partition")
    assert after
    assert all(row in before for row in after)
    assert counted == [{"n": len(after)}]


@pytest.mark.usefixtures("small_batches")
def test_a_replay_goes_on_where_another_one_broke_off(
    staged: Callable[[MemoryLog], Stage],
) -> None:
    """By an exception in the middle, as often as it happens."""
    history = large_history(random.Random(1), rows=600)
    stage = staged(history.log)
    stage.project_live(stage.ends, random.Random(2))
    schema = stage.tables()

    def fail(done: int) -> None:
        seen.append(done)
        if len(seen) == 3:
            raise KeyboardInterrupt

    for _ in range(3):
        seen: list[int] = []
        broken = stage.replay(schema)
        with pytest.raises(KeyboardInterrupt):
            broken.run(stage.ends, fail, lambda: False)
        assert seen == sorted(seen)
        broken.close()
    run(stage.replay(schema), stage.ends)
    assert stage.differences(stage.live.schema, schema) == []


@pytest.mark.usefixtures("small_batches")
def test_a_replay_that_is_superseded_writes_no_more(
    staged: Callable[[MemoryLog], Stage], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another one claims in the middle and goes on; the first one says so and ends."""
    monkeypatch.setattr(
        parallel_replay, "_WORTH_SHARING", 10_000
    )  # of two, one may be done already
    stage = staged(large_history(random.Random(1), rows=600).log)
    stage.project_live(stage.ends, random.Random(2))
    schema = stage.tables()
    first, second = stage.replay(schema), stage.replay(schema)
    with pytest.raises(SupersededError):
        first.run(
            stage.ends,
            lambda _: run(second, [end - 1 for end in stage.ends]),
            lambda: False,
        )
    run(second, stage.ends)
    assert stage.differences(stage.live.schema, schema) == []


def test_offsets_without_records_are_passed(staged: Callable[[MemoryLog], Stage]) -> None:
    """In the middle and at the end of a partition, and where a stop is among them."""
    history = random_history(random.Random(5), jobs=2, others=False)
    stage = staged(history.log)
    ends = stage.ends
    append_aborted(stage.settings)
    append(stage.settings, history.log)  # repeats, all of them
    append_aborted(stage.settings)
    whole = [2 * end + 8 for end in ends]
    at_once, by_turns = stage.tables(), stage.tables()
    run(stage.replay(at_once), whole)
    slow = stage.replay(by_turns)
    for stops in ([end + 2 for end in ends], [end + 4 for end in ends], whole):
        run(slow, stops)
        assert stage.next_offsets(by_turns) == stops
    assert stage.next_offsets(at_once) == whole
    assert stage.differences(at_once, by_turns) == []
    stage.show(at_once)
    assert_users(stage.env, modelled(history).users)


def test_a_replay_never_goes_back(staged: Callable[[MemoryLog], Stage]) -> None:
    """A stop that lies behind is refused, and nothing is changed."""
    stage = staged(random_history(random.Random(5), others=False).log)
    schema = stage.tables()
    again = stage.replay(schema)
    run(again, stage.ends)
    with pytest.raises(PassedStopError):
        again.run([end - 1 for end in stage.ends], lambda _: None, lambda: False)
    assert stage.next_offsets(schema) == stage.ends


def test_it_ends_when_it_is_told_to(staged: Callable[[MemoryLog], Stage]) -> None:
    """And says that it is not there yet."""
    stage = staged(random_history(random.Random(5), others=False).log)
    assert not stage.replay(stage.tables()).run(stage.ends, lambda _: None, lambda: True)


def test_a_log_that_ends_before_the_stop_is_refused(staged: Callable[[MemoryLog], Stage]) -> None:
    """With the code by which a person finds out what to do."""
    stage = staged(random_history(random.Random(5), others=False).log)
    with pytest.raises(RefusedToStartError, match="LOG_TRUNCATED"):
        run(stage.replay(stage.tables()), [end + 1 for end in stage.ends])


def test_a_log_without_its_first_records_is_refused(staged: Callable[[MemoryLog], Stage]) -> None:
    """Nothing can be built from it."""
    stage = staged(random_history(random.Random(5), others=False).log)
    admin = AdminClient(dict(stage.settings.kafka))
    place = TopicPartition(stage.settings.topics.user_events.name, 1, 3)
    for done in admin.delete_records([place]).values():  # pyright: ignore[reportUnknownVariableType]
        done.result(timeout=TIMEOUT_S)
    with pytest.raises(RefusedToStartError, match="RECORDS_REMOVED"):
        run(stage.replay(stage.tables()), stage.ends)


def test_a_replay_keeps_no_audience_that_was_replaced(
    staged: Callable[[MemoryLog], Stage],
) -> None:
    """Of a log with many delserts only the last one's users are kept."""
    history = random_history(random.Random(17), jobs=5, others=False)
    delserts = [job for job in history.jobs if job.mode == "delsert"]
    assert len(delserts) > 1
    stage = staged(history.log)
    schema = stage.tables()
    run(stage.replay(schema), stage.ends)
    generations = select(stage.env, f"SELECT job_id FROM {schema}.generation")
    assert [row["job_id"] for row in generations] == [delserts[-1].job_id]


def test_what_differs_is_named(staged: Callable[[MemoryLog], Stage]) -> None:
    """A user changed, one deleted, one added, a count, an offset: each by its key."""
    stage = staged(large_history(random.Random(1), rows=60).log)
    stage.project_live(stage.ends, random.Random(2))
    schema = stage.tables()
    run(stage.replay(schema), stage.ends)
    with psycopg.connect(stage.env.conninfo) as connection:
        for statement in (
            "UPDATE {}.user_row SET state = 'Texas' WHERE key = 'user1@example.com'",
            "DELETE FROM {}.user_row WHERE key = 'user2@example.com'",
            "UPDATE {}.user_row SET key = 'new@example.com' WHERE key = 'user3@example.com'",
            "UPDATE {}.job_partition SET updated = 1, rows = 1 WHERE job_id = 2 AND partition = 1",
            "UPDATE {}.projection_offset SET next_offset = next_offset - 1 WHERE partition = 0",
        ):
            connection.execute(statement.format(schema).encode())
    found = {each.table: each for each in stage.differences(stage.live.schema, schema)}
    assert set(found) == {"users", "job_partition", "projection_offset"}
    assert (found["users"].rows, found["users"].other_rows) == (60, 59)
    assert found["users"].differing == 4
    assert set(found["users"].keys) == {
        RowDifference(("user1@example.com",), "both", ("state",)),
        RowDifference(("user2@example.com",), "one"),
        RowDifference(("user3@example.com",), "one"),
        RowDifference(("new@example.com",), "other"),
    }
    assert found["job_partition"].keys == (RowDifference((2, 1), "both", ("updated", "rows")),)
    assert found["projection_offset"].keys == (RowDifference((0,), "both", ("next_offset",)),)
