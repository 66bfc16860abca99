"""Each alert fires where its cause is there, as a real Prometheus sees it.

Its windows and thresholds are shorter by far than those of the rules; `promtool` tests these.
.ci/monitoring runs this, and installs Prometheus: it takes more than a minute, so it is no part
of each run of the tests.
"""

from __future__ import annotations

import contextlib
import os
import threading
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import httpx2
import psycopg
import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import (
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    ResourceType,
)

from deploy.local_stack.ports import free_ports
from schemas.codec import codec
from schemas.events import JobSealed
from schemas.log.topics import partition_of
from tests.support.clients.client import BASE
from tests.support.clients.other_producers import row_of
from tests.support.clients.projections import request, wait_built
from tests.support.dashboard import ROWS
from tests.support.data.files import tidy_csv
from tests.support.disks.small_disk import small_disk
from tests.support.monitoring import alert_names
from tests.support.servers.breaking import frozen
from tests.support.servers.prometheus import Prometheus
from tests.support.servers.rig import Rig
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

    from deploy.local_stack.stack import LocalStack
    from schemas.log.topics import Topic
    from tests.support.servers.services import Service, Services
    from tests.support.servers.surroundings import Ground

pytestmark = pytest.mark.skipif(
    "ROLLCALL_TEST_ALERTS" not in os.environ, reason="just monitoring runs it"
)
_TIMEOUT_S = 60
_KEYS = "one:" + "1" * 32


class _Watched:
    """An installation that a Prometheus watches, and what may go wrong in it."""

    def __init__(self, env: Ground, services: Services, folder: Path, disk: Path) -> None:
        kinds = ("api", "publisher", "processor", "builder")
        self.ports: dict[str, int] = dict(zip(kinds, free_ports(4), strict=True))
        self._env, self._services = env, services
        self._admin = AdminClient({"bootstrap.servers": env.surroundings.bootstrap_servers})
        publisher, processor, self.builder = map(self.start, kinds[1:])
        api, client = services.api(self.ports["api"], watched_folder=str(disk), log_keys=_KEYS)
        self.rig = Rig(env, services, api, client, publisher, [processor])
        self.rig.wait_ready()
        folder.mkdir()
        self.prometheus = Prometheus(folder, self.ports)

    def start(self, kind: str, **settings: str) -> Service:
        """A process of this kind, at the port where it is scraped."""
        make = getattr(self._services, kind)
        return make(metrics_port=str(self.ports[kind]), log_keys=_KEYS, **settings)

    def send(self, value: bytes, key: str = "key") -> None:
        """A record of somebody else, in user-events."""
        topic = self._env.settings.topics.user_events
        producer = Producer(self._env.settings.kafka)
        partition = partition_of(key.encode(), topic.partitions)
        producer.produce(topic.name, value, key.encode(), partition)
        assert producer.flush(_TIMEOUT_S) == 0

    @contextlib.contextmanager
    def refusing(self, topic: Topic) -> Generator[None]:
        """The topic takes no record, because all are too large for it."""
        self._limit(topic, AlterConfigOpType.SET)
        yield
        self._limit(topic, AlterConfigOpType.DELETE)

    def _limit(self, topic: Topic, operation: AlterConfigOpType) -> None:
        entry = ConfigEntry("max.message.bytes", "10", incremental_operation=operation)
        resource: Any = ConfigResource(ResourceType.TOPIC, topic.name, incremental_configs=[entry])
        for done in self._admin.incremental_alter_configs([resource]).values():  # pyright: ignore[reportUnknownVariableType]
            done.result(_TIMEOUT_S)

    def claim_all_is_read(self) -> None:
        """Commit the ends of user-events for the processors' group, as somebody by mistake."""
        settings = self._env.settings
        consumer = Consumer({**settings.kafka, "group.id": settings.group})
        topic = settings.topics.user_events
        places = [TopicPartition(topic.name, number) for number in range(topic.partitions)]
        for place in places:
            place.offset = consumer.get_watermark_offsets(place, timeout=_TIMEOUT_S)[1]
        consumer.commit(offsets=places, asynchronous=False)
        consumer.close()

    def lose_uploads(self) -> None:
        """Have the broker remove all chunks of files."""
        topic = self._env.settings.topics.uploads
        places = [TopicPartition(topic.name, number, -1) for number in range(topic.partitions)]
        for done in self._admin.delete_records(places).values():  # pyright: ignore[reportUnknownVariableType]
            done.result(_TIMEOUT_S)

    def execute(self, statement: str) -> None:
        """A statement in the test's database."""
        with psycopg.connect(self._env.conninfo) as connection:
            connection.execute(statement.encode())

    def read_much(self, stopping: threading.Event) -> None:
        """Ask the API for users until told to stop."""
        with httpx2.Client(base_url=self.rig.client.url, trust_env=False, timeout=60) as http:
            while not stopping.is_set():
                http.get(f"{BASE}/audience", auth=("admin", self._env.password))


def test_every_alert_fires_and_every_panel_has_a_series(
    env: Ground, services: Services, stack: LocalStack, tmp_path: Path
) -> None:
    """Also none fires while all is well; causes that a test can't wait for are made to come."""
    with small_disk(env) as disk:
        watched = _Watched(env, services, tmp_path / "prometheus", disk.folder)
        with contextlib.closing(watched.rig), watched.prometheus as prometheus:
            _all_is_well(watched)
            disk.fill()
            _others_err(watched)
            prometheus.wait_fired("RollcallDiskLow")
            disk.empty()
            _postgres_fails(watched, stack)
            _kafka_refuses(watched)
            _processes_end(watched)
            _publishing_fails(watched)
            fired = prometheus.fired()
            assert {name for name, _ in fired} == set(alert_names())
            for name in ("RollcallJobsSlow", "RollcallRequestsFail"):
                assert {(name, "page"), (name, "ticket")} <= fired
            assert _empty_panels(prometheus) == []


def _all_is_well(watched: _Watched) -> None:
    are_scraped = 'count(up{job=~"rollcall-.*"} == 1) == 4'
    wait_until(lambda: watched.prometheus.query(are_scraped), _TIMEOUT_S, every_s=0.2)
    watched.rig.run(tidy_csv(range(50)))
    watched.rig.run(tidy_csv(range(50)) + b"nobody,,,,\n")
    # Each takes longer than the test's limit, and nothing else is wrong.
    watched.prometheus.wait_fired("RollcallJobsSlow")
    assert {name for name, _ in watched.prometheus.fired()} == {"RollcallJobsSlow"}


def _others_err(watched: _Watched) -> None:
    """Others send what is no event, a row of a job and its end; somebody edits a table."""
    forged = replace(row_of("eve@x.example"), sequence=0, line=2, record_number=1, job_id=1 << 40)
    watched.send(b"not Avro at all")
    watched.send(codec.encode(JobSealed(job_id=1 << 40, rows=0, digest=0)))
    watched.send(codec.encode(forged), forged.key)
    watched.execute("UPDATE projection_1.user_row SET first_name = 'x' WHERE key LIKE 'user7@%'")
    wait_built(watched.rig.env, request(watched.rig.env, "rebuild"))
    watched.prometheus.wait_fired(
        "RollcallDeadLetters", "RollcallForgedRecords", "RollcallAlarm", "RollcallBuildFailed"
    )


def _postgres_fails(watched: _Watched, stack: LocalStack) -> None:
    """It is frozen with a job under way and many readers; then it ends connections."""
    assert stack.postgres.child is not None
    stopping = threading.Event()
    readers = [threading.Thread(target=watched.read_much, args=(stopping,)) for _ in range(12)]
    for reader in readers:
        reader.start()
    watched.rig.publisher.freeze()
    watched.rig.submit(tidy_csv(range(50), word="b"), "upsert")
    with frozen(stack.postgres.child.pid):
        watched.rig.publisher.thaw()
        watched.prometheus.wait_fired(
            "RollcallNotReady",
            "RollcallRequestsFail",
            "RollcallPoolExhausted",
            "RollcallJobOverdue",
            "RollcallLagGrowing",
        )
        stopping.set()
    for reader in readers:
        reader.join()
    ending = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE"

    def lost() -> bool:
        watched.execute(f"{ending} 'rollcall-processor%' AND datname = current_database()")
        watched.send(b"wakes the processor")
        return "RollcallPartitionsLost" in {name for name, _ in watched.prometheus.fired()}

    wait_until(lost, _TIMEOUT_S, every_s=0.3)


def _kafka_refuses(watched: _Watched) -> None:
    """A topic that there isn't, and one that takes no record any more."""
    wait_until(watched.rig.client.is_ready, _TIMEOUT_S)
    watched.execute("INSERT INTO projection_1.outbox (topic) VALUES ('nowhere')")
    with watched.refusing(watched.rig.env.settings.topics.user_events):
        job_id = watched.rig.submit(tidy_csv(range(50), word="c"), "upsert")
        watched.prometheus.wait_fired("RollcallPublishingHeldUp", "RollcallOutboxStuck")
    watched.execute("DELETE FROM projection_1.outbox WHERE topic = 'nowhere'")
    watched.rig.wait_ended(job_id)


def _processes_end(watched: _Watched) -> None:
    """One often, one for good, and one that is not even known any more."""

    def restarted() -> bool:
        watched.builder.kill()
        watched.builder = watched.start("builder")
        up = 'up{job="rollcall-builder"} == 1 and changes(up{job="rollcall-builder"}[2s]) == 0'
        wait_until(lambda: watched.prometheus.query(up), _TIMEOUT_S, every_s=0.2)
        return "RollcallRestarting" in {name for name, _ in watched.prometheus.fired()}

    wait_until(restarted, _TIMEOUT_S)
    watched.builder.kill()
    watched.prometheus.wait_fired("RollcallDown")
    watched.prometheus.set_target("builder", None)
    watched.prometheus.wait_fired("RollcallMissing")


def _publishing_fails(watched: _Watched) -> None:
    """Without Kafka, with rows that seem lost, and without the file."""
    rig = watched.rig
    rig.publisher.terminate()
    lost = watched.start("publisher", kafka_bootstrap_servers="127.0.0.1:9")
    watched.prometheus.wait_fired("RollcallNoPublisher")
    lost.kill()
    rig.processors[0].terminate()  # and so leaves the group
    rig.submit(tidy_csv(range(50), word="d"), "upsert")
    before = rig.published()
    impatient = watched.start("publisher", watchdog_s="1")
    rig.wait_published(before + 50)
    watched.claim_all_is_read()
    watched.prometheus.wait_fired("RollcallRowsPublishedAgain")
    impatient.terminate()
    rig.submit(tidy_csv(range(50), word="e"), "upsert")
    watched.lose_uploads()
    watched.start("publisher")
    watched.prometheus.wait_fired("RollcallJobNotPublished")


def _empty_panels(prometheus: Prometheus) -> list[str]:
    """The queries of the dashboard that have had no series at any time."""
    queries = [query for row in ROWS.values() for panel in row for query in panel.queries]
    return [
        query
        for query in queries
        if not prometheus.series(query.replace("$__rate_interval", "5s").replace("$__range", "1m"))
    ]
