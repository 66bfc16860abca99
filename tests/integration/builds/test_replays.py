"""A replay from Kafka comes to what the live projection of the same log came to."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import psutil
import psycopg
import pytest
from confluent_kafka import Producer, TopicPartition
from confluent_kafka.admin import AdminClient
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from ingest_api.kafka.topic_setup import ensure_topics
from processor.builder import parallel_replay, replay
from processor.builder.parallel_replay import Replays
from processor.builder.table_comparison import RowDifference, Side, compare
from processor.errors import PassedStopError, RefusedToStartError, SupersededError
from processor.kafka.log_description import Log
from processor.tables.instance_registry import next_offsets, show
from processor.tables.setup import make_tables
from tests.support.data.histories import delsert_history, large_history, random_history
from tests.support.data.projection_scene import Scene
from tests.support.models.model import Model
from tests.support.models.verdict import assert_outcomes, assert_users, select
from tests.support.servers.surroundings import PARTITIONS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from processor.builder.table_comparison import TableDifference
    from schemas.config.settings import Settings
    from tests.support.data.histories import LogHistory
    from tests.support.data.passes import MemoryLog
    from tests.support.servers.surroundings import Ground

_TIMEOUT_S = 60
_seeds = settings(
    max_examples=12,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    # Of a seed nothing can be made simpler.
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
)
_DIE_AFTER = """
import os, signal, sys
from processor import replay
from schemas.settings import read_settings
schema, deaths_after = sys.argv[1], int(sys.argv[3])
stops = [int(stop) for stop in sys.argv[2].split(",")]
replay._MAX_BATCH = 50
commits = 0
def die(done):
    global commits
    commits += 1
    if commits == deaths_after:
        os.kill(os.getpid(), signal.SIGKILL)
settings = read_settings(os.environ).with_partitions(len(stops))
replay.Replay(settings, schema, reverted=frozenset()).run(stops, die, lambda: False)
"""
_SHARE_AND_WAIT = """
import os, sys, psutil, structlog
from processor import replays
from schemas.settings import read_settings
replays._WORTH_SHARING = 0
structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
stops = [int(stop) for stop in sys.argv[2].split(",")]
told = False
def tell(done):
    global told
    for other in psutil.Process().children():
        if not told and "spawn_main" in " ".join(other.cmdline()):
            told = True
            print(other.pid, flush=True)
settings = read_settings(os.environ).with_partitions(len(stops))
replays.Replays(settings, sys.argv[1], reverted=frozenset()).run(stops, tell, lambda: False)
"""


@dataclass(slots=True)
class Stage:
    """A log in memory and the same in Kafka; its live projection and replays of it."""

    env: Ground
    log: MemoryLog
    settings: Settings
    live: Scene
    replays: list[Replays] = field(default_factory=list[Replays])
    _schemas: int = 0

    @classmethod
    def of(cls, env: Ground, log: MemoryLog) -> Stage:
        """The log is in Kafka, under names of its own; nothing has been projected."""
        prefix = f"{env.environ['ROLLCALL_TOPIC_PREFIX']}{random.randbytes(4).hex()}-"
        own = replace(env, environ={**env.environ, "ROLLCALL_TOPIC_PREFIX": prefix})
        ensure_topics(own.settings)
        append(own.settings, log)
        return cls(own, log, own.settings, Scene(own, log))

    def close(self) -> None:
        """End what is still open, and drop the topics."""
        for each in self.replays:
            each.close()
        self.live.close()
        admin = AdminClient(dict(self.settings.kafka))
        names = [topic.name for topic in self.settings.topics.all()]
        for done in admin.delete_topics(names).values():  # pyright: ignore[reportUnknownVariableType]
            done.result(timeout=_TIMEOUT_S)

    @property
    def ends(self) -> list[int]:
        """Of the log, by partition."""
        return [len(records) for records in self.log.partitions]

    def project_live(self, ends: list[int], rng: random.Random) -> None:
        """Project from memory up to these offsets, in batches of random sizes."""
        worker = self.live.worker()
        while any(left := [end - worker.states[p].next_offset for p, end in enumerate(ends)]):
            worker.expects_new = rng.random() < 0.5
            worker.project(self.log, [min(rng.randint(1, 30), rest) for rest in left])

    def tables(self) -> str:
        """The schema of new, empty tables."""
        self._schemas += 1
        schema = f"{self.live.schema}_replay_{self._schemas}"
        log = Log(topic_id="in memory", partitions=PARTITIONS)
        with psycopg.connect(self.env.conninfo) as connection:
            make_tables(connection.cursor(), self.settings, schema, log)
        return schema

    def replay(self, schema: str, reverted: frozenset[int] = frozenset()) -> Replays:
        """A replay into these tables."""
        self.replays.append(Replays(self.settings, schema, reverted=reverted))
        return self.replays[-1]

    def differences(self, one: str, other: str) -> list[TableDifference]:
        """Between the tables of two schemas."""
        with psycopg.connect(self.env.conninfo) as connection:
            return compare(Side(connection.cursor(), one), Side(connection.cursor(), other))

    def next_offsets(self, schema: str) -> list[int]:
        """How far the tables are."""
        with psycopg.connect(self.env.conninfo) as connection:
            return next_offsets(connection.cursor(), schema)

    def show(self, schema: str) -> None:
        """Let the public views show these tables."""
        with psycopg.connect(self.env.conninfo) as connection:
            show(connection.cursor(), schema)


@pytest.fixture(autouse=True)
def _shared_work(monkeypatch: pytest.MonkeyPatch) -> None:
    """By two processes, as a long log."""
    monkeypatch.setattr(parallel_replay, "_WORTH_SHARING", 0)


@pytest.fixture
def staged(env: Ground) -> Iterator[Callable[[MemoryLog], Stage]]:
    """Puts a log on stage."""
    made: list[Stage] = []

    def stage(log: MemoryLog) -> Stage:
        made.append(Stage.of(env, log))
        return made[-1]

    yield stage
    for each in made:
        each.close()


@pytest.fixture
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    """Replays write at most 50 records at once."""
    monkeypatch.setattr(replay, "_MAX_BATCH", 50)


def append(to: Settings, log: MemoryLog) -> None:
    """Append the log to ``user-events``, times included."""
    producer = Producer({**to.kafka, "linger.ms": 5})
    for partition, records in enumerate(log.partitions):
        for record in records:
            producer.produce(
                to.topics.user_events.name,
                record.value(),
                record.key(),
                partition,
                timestamp=record.timestamp()[1],
            )
    assert producer.flush(_TIMEOUT_S) == 0


def append_aborted(to: Settings) -> None:
    """Records of a transaction that is aborted: offsets without records, in every partition."""
    producer = Producer({**to.kafka, "transactional.id": random.randbytes(8).hex()})
    producer.init_transactions(_TIMEOUT_S)
    producer.begin_transaction()
    for partition in range(PARTITIONS):
        for _ in range(3):
            producer.produce(to.topics.user_events.name, b"aborted", b"k", partition)
    producer.flush(_TIMEOUT_S)
    producer.abort_transaction(_TIMEOUT_S)


def run(of: Replays, stop_at: list[int]) -> None:
    """Run to the stop."""
    assert of.run(stop_at, lambda _: None, lambda: False)


def modelled(history: LogHistory, without: frozenset[int] = frozenset()) -> Model:
    """What the jobs come to, without some of them."""
    model = Model()
    for job in history.jobs:
        if job.job_id not in without:
            model.apply(job)
    return model


@_seeds
@given(seed=st.integers(0, 2**32), batch=st.integers(1, 60))
def test_a_replay_is_what_the_live_projection_is(env: Ground, seed: int, batch: int) -> None:
    """Whatever the batches, at any stop on the way and at the end, in every table."""
    rng = random.Random(seed)
    stage = Stage.of(env, random_history(rng, others=True).log)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(replay, "_MAX_BATCH", batch)
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


@_seeds
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


@pytest.mark.parametrize("deaths_after", [1, 4, 9])
def test_a_replay_that_was_killed_is_started_again(
    staged: Callable[[MemoryLog], Stage], deaths_after: int
) -> None:
    """Kill -9, with a transaction under way."""
    stage = staged(large_history(random.Random(1), rows=600).log)
    stage.project_live(stage.ends, random.Random(2))
    schema = stage.tables()
    stops = ",".join(map(str, stage.ends))
    done = subprocess.run(
        [sys.executable, "-c", _DIE_AFTER, schema, stops, str(deaths_after)],
        env=stage.env.environ,
        check=False,
        timeout=_TIMEOUT_S,
    )
    assert done.returncode == -signal.SIGKILL
    run(stage.replay(schema), stage.ends)
    assert stage.differences(stage.live.schema, schema) == []


def test_the_other_process_may_die(staged: Callable[[MemoryLog], Stage]) -> None:
    """Kill -9: this one goes on with all partitions."""
    stage = staged(large_history(random.Random(1), rows=600).log)
    stage.project_live(stage.ends, random.Random(2))
    schema = stage.tables()
    killed: list[int] = []

    def kill(_done: int) -> None:
        for other in psutil.Process().children() if not killed else ():
            if "spawn_main" in " ".join(other.cmdline()):
                other.kill()
                killed.append(other.pid)

    assert stage.replay(schema).run(stage.ends, kill, lambda: False)
    assert len(killed) == 1
    assert stage.differences(stage.live.schema, schema) == []


def test_a_process_that_dies_leaves_no_other(staged: Callable[[MemoryLog], Stage]) -> None:
    """Kill -9 in the middle: the one that it has started ends by itself."""
    stage = staged(large_history(random.Random(1), rows=600).log)
    schema = stage.tables()
    stops = ",".join(map(str, stage.ends))
    with subprocess.Popen(
        [sys.executable, "-c", _SHARE_AND_WAIT, schema, stops],
        env={**os.environ, **stage.env.environ},
        stdout=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        other = psutil.Process(int(process.stdout.readline()))
        process.kill()
    assert psutil.wait_procs([other], timeout=_TIMEOUT_S)[1] == []


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
        done.result(timeout=_TIMEOUT_S)
    with pytest.raises(RefusedToStartError, match="RECORDS_REMOVED"):
        run(stage.replay(stage.tables()), stage.ends)


def test_a_replay_keeps_no_audience_that_was_replaced(
    staged: Callable[[MemoryLog], Stage],
) -> None:
    """Of a log with many delserts only the last one's users are kept."""
    history = random_history(random.Random(8), jobs=5, others=False)
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
