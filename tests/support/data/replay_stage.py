"""A log in Kafka, projected live and by replays of the same log."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import psycopg
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient
from hypothesis import HealthCheck, Phase, settings

from ingest_api.kafka.topic_setup import ensure_topics
from processor.builder.parallel_replay import Replays
from processor.builder.table_comparison import Side, compare
from processor.kafka.log_description import Log
from processor.tables.instance_registry import ensure_registry, next_offsets, show
from processor.tables.setup import make_tables
from schemas.clients.kafka import make_producer
from tests.support.data.projection_scene import Scene
from tests.support.models.model import Model
from tests.support.servers.surroundings import PARTITIONS

if TYPE_CHECKING:
    import random

    from processor.builder.table_comparison import TableDifference
    from schemas.config.settings import Settings
    from tests.support.data.histories import LogHistory
    from tests.support.data.passes import MemoryLog
    from tests.support.servers.surroundings import Ground

TIMEOUT_S = 60
seeds = settings(
    max_examples=8,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    # Of a seed nothing can be made simpler.
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
)
DIE_AFTER = """
import os, signal, sys
from processor.builder import replay
from schemas.config.environment import read
from schemas.config.settings import Settings
schema, deaths_after = sys.argv[1], int(sys.argv[3])
stops = [int(stop) for stop in sys.argv[2].split(",")]
replay._MAX_BATCH = 50
commits = 0
def die(done):
    global commits
    commits += 1
    if commits == deaths_after:
        os.kill(os.getpid(), signal.SIGKILL)
settings = read(Settings, os.environ).with_partitions(len(stops))
replay.Replay(settings, schema, reverted=frozenset()).run(stops, die, lambda: False)
"""
SHARE_AND_WAIT = """
import os, sys, psutil, structlog
from processor.builder import parallel_replay as replays
from schemas.config.environment import read
from schemas.config.settings import Settings
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
settings = read(Settings, os.environ).with_partitions(len(stops))
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
        # Not of `random`, which hypothesis seeds anew for each example: a topic of a name that was
        # just deleted may be gone again once it was found to be there.
        prefix = f"{env.environ['ROLLCALL_TOPIC_PREFIX']}{secrets.token_hex(4)}-"
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
            done.result(timeout=TIMEOUT_S)

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
            ensure_registry(connection.cursor())
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


def append(to: Settings, log: MemoryLog) -> None:
    """Append the log to ``user-events``, times included."""
    producer = make_producer(to.kafka, {"linger.ms": 5})
    for partition, records in enumerate(log.partitions):
        for record in records:
            producer.produce(
                to.topics.user_events.name,
                record.value(),
                record.key(),
                partition,
                timestamp=record.timestamp()[1],
            )
    assert producer.flush(TIMEOUT_S) == 0


def append_aborted(to: Settings) -> None:
    """Records of a transaction that is aborted: offsets without records, in every partition."""
    producer = Producer({**to.kafka, "transactional.id": secrets.token_hex(8)})
    producer.init_transactions(TIMEOUT_S)
    producer.begin_transaction()
    for partition in range(PARTITIONS):
        for _ in range(3):
            producer.produce(to.topics.user_events.name, b"aborted", b"k", partition)
    producer.flush(TIMEOUT_S)
    producer.abort_transaction(TIMEOUT_S)


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
