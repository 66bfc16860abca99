"""Any bytes, and any valid Avro of any of our types, in any topic: the services stay up."""

from __future__ import annotations

from datetime import UTC, datetime
from random import Random
from typing import TYPE_CHECKING, Any, Final, cast

from confluent_kafka.admin import (
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    ResourceType,
)

from schemas.clients.kafka import make_producer
from schemas.codec import codec, framing
from schemas.events import AttributeDefined, JobOpened, RowRejected, UserRow
from schemas.log.storable import violation
from tests.support.clients.projections import assert_proven
from tests.support.data.any_events import AnyRecords
from tests.support.data.files import tidy_csv
from tests.support.data.log_reading import read_topic
from tests.support.data.raw_batches import append_with_header
from tests.support.models.verdict import select
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Collection

    from schemas.log.topics import Topic
    from tests.support.servers.rig import Rig
    from tests.support.servers.surroundings import Ground

_BULK: Final = 150
"""Records a topic, each time."""


class _Sender:
    """Appends any records to any topic, and knows which of those in `user-events` are unfit."""

    def __init__(self, env: Ground, seed: int) -> None:
        self.unfit: set[tuple[int, int]] = set()
        self.sent: set[tuple[int, int]] = set()
        self._rng = Random(seed)
        self._env = env
        self._producer = make_producer(env.settings.kafka)

    def send(self, jobs: Collection[int]) -> None:
        """A bulk to every topic; acknowledged on return."""
        drawn = AnyRecords(self._rng, jobs)
        topics = self._env.settings.topics
        for topic in topics.all():
            for _ in range(_BULK):
                value = drawn.value()
                if topic.name == topics.job_events.name and (value or b"").startswith(b"\0"):
                    continue  # a schema's id: without a registry that is a fault of the set-up
                self._produce(topic, drawn, value)
        assert self._producer.flush(60) == 0

    def begin_again(self, job_id: int, after: int) -> None:
        """A JobOpened of a job that has ended, as if it came next, in every partition."""
        topic = self._env.settings.topics.user_events
        opened = JobOpened(
            job_id=job_id, previous_job_id=after, mode="delsert", lines=1, file_name=None,
            sha256="", accepted_at=datetime.now(UTC), accepted_by="nobody",
        )  # fmt: skip
        for partition in range(topic.partitions):
            self._producer.produce(
                topic.name, codec.encode(opened), b"", partition, on_delivery=self._note_unfit
            )
        assert self._producer.flush(60) == 0

    def _note_unfit(self, error: object, message: Any) -> None:
        assert error is None, error
        self.sent.add((message.partition(), message.offset()))
        self.unfit.add((message.partition(), message.offset()))

    def _produce(self, topic: Topic, drawn: AnyRecords, value: bytes | None) -> None:
        is_users = topic.name == self._env.settings.topics.user_events.name
        is_unfit = _is_unfit(value)

        def note(error: object, message: Any) -> None:
            assert error is None, error
            if is_users:
                self.sent.add((message.partition(), message.offset()))
                if is_unfit:
                    self.unfit.add((message.partition(), message.offset()))

        self._producer.produce(
            topic.name,
            value,
            drawn.key() or b"",  # a topic that is compacted takes no record without one
            self._rng.randrange(topic.partitions),
            timestamp=drawn.time_ms(),
            on_delivery=note,
        )
        self._producer.poll(0)


def _is_unfit(value: bytes | None) -> bool:
    try:
        return violation(codec.decode(value)) is not None
    except codec.UndecodableError:
        # Rows are decoded many at once, which is not so strict with one that nobody counts.
        known = framing.type_of(value or b"")
        return known is None or known[0] not in {UserRow, RowRejected}


def _allow_any_time(env: Ground) -> None:
    """As on brokers that take whatever time a producer writes."""
    admin = AdminClient({**env.settings.kafka})
    for name in ("message.timestamp.after.max.ms", "message.timestamp.before.max.ms"):
        entry = ConfigEntry(name, str(2**63 - 1), incremental_operation=AlterConfigOpType.SET)
        resources = [
            ConfigResource(ResourceType.TOPIC, topic.name, incremental_configs=[entry])
            for topic in env.settings.topics.all()
        ]
        futures = cast("dict[Any, Any]", admin.incremental_alter_configs(resources))
        for future in futures.values():
            future.result(60)


def _dead_letters(env: Ground) -> set[tuple[int, int]]:
    """Where the records stood that became dead letters."""
    found: set[tuple[int, int]] = set()
    for records in read_topic(env.settings, env.settings.topics.dead_letters):
        for record in records:
            headers = dict(cast("list[tuple[str, bytes]]", record.headers() or []))
            if headers.get("source-topic") == env.settings.topics.user_events.name.encode():
                place = headers["source-partition"], headers["source-offset"]
                found.add((int(place[0]), int(place[1])))
    return found


def test_no_record_stops_a_service(rig: Rig) -> None:
    """Imports among them end whole, no process ends, and the log still proves the tables."""
    env = rig.env
    rig.services.builder()
    _allow_any_time(env)
    sender = _Sender(env, seed=8)
    sender.send(())
    jobs: list[int] = []
    for content, mode in (
        (tidy_csv(range(600)), "insert"),
        (tidy_csv(range(300, 900), word="b"), "upsert"),
        (tidy_csv(range(500), word="c"), "delsert"),
    ):
        jobs.append(rig.submit(content, mode))
        sender.send(jobs)
    statuses = [rig.wait_ended(job_id) for job_id in jobs]

    outcomes = [(each["inserted"], each["updated"], each["rejected"]) for each in statuses]
    assert outcomes == [(600, 0, 0), (300, 300, 0), (500, 0, 0)]
    assert select(env, "SELECT count(*) AS n FROM users") == [{"n": 500}]
    assert rig.client.is_ready()
    sender.begin_again(jobs[0], after=jobs[-1])
    assert rig.run(tidy_csv([7], word="d"), "upsert")["updated"] == 1
    wait_until(
        lambda: _dead_letters(env) >= sender.unfit, 30, saying="what is unfit is a dead letter"
    )
    assert _dead_letters(env) <= sender.sent
    rig.services.assert_running()
    assert_proven(env)


def test_a_header_whose_name_is_no_text_ends_no_service(rig: Rig) -> None:
    """In any topic, also on a record that counts: it has no headers then."""
    settings = rig.env.settings
    defined = AttributeDefined(
        name="tier", type="string", is_reconciliation_key=False, is_indexed=False,
        defined_at=datetime.now(UTC), defined_by="nobody",
    )  # fmt: skip
    for topic in (settings.topics.user_events, settings.topics.job_events, settings.topics.uploads):
        for partition in range(topic.partitions):
            append_with_header(settings, (topic.name, partition), codec.encode(defined), b"\xff")
    assert rig.run(tidy_csv(range(10)))["inserted"] == 10
    rig.services.assert_running()


def test_readiness_says_what_the_log_of_jobs_waits_for(rig: Rig) -> None:
    """A record that names a schema's id, and no registry to ask: nobody may pass over it."""
    producer = make_producer(rig.env.settings.kafka)
    producer.produce(rig.env.settings.topics.job_events.name, b"\0\0\0\0\7some event")
    assert producer.flush(60) == 0
    wait_until(
        lambda: (
            "job-events is not read on: Records were written by schema ids [7]"
            in rig.client.http.get("/health/ready").text
        ),
        30,
        saying="the reason is told",
    )
    rig.services.assert_running()
