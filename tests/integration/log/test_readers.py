"""A range of a partition, read from a real broker for a few keys; the end of a topic."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import pytest
from confluent_kafka.admin import NewPartitions

from ingest_api.errors import ReadTimeoutError
from ingest_api.kafka.log_reader import LogRange, LogReader
from ingest_api.kafka.topic_setup import ensure_topics
from schemas.clients.errors import KafkaUnreachableError
from schemas.clients.kafka import make_admin, make_producer
from schemas.clients.ranges import RangeReader
from schemas.clients.topic_follower import TopicFollower
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.servers.surroundings import Ground

_RECORDS = 30_000
"""Several batches of a read."""
_SILENT = {"fetch.wait.max.ms": 280_000, "socket.timeout.ms": 300_000}
"""The broker would tell an end after nearly five minutes."""


@pytest.fixture
def log_reader(env: Ground) -> Iterator[LogReader]:
    """A reader of a topic whose partition 1 holds keys 0 to 99 again and again."""
    ensure_topics(env.settings)
    topic = env.settings.topics.user_events.name
    # Offsets are numbers only where no retry changes the order.
    producer = make_producer(env.settings.kafka, {"linger.ms": 5})
    for number in range(_RECORDS):
        producer.produce(topic, b"%d" % number, b"%d" % (number % 100), 1)
        producer.poll(0)
    assert producer.flush(60) == 0
    found = LogReader(env.settings.kafka, topic)
    yield found
    found.close()


def test_a_range_gives_the_records_of_its_keys(log_reader: LogReader) -> None:
    """In order, both ends included, and nothing of other keys."""
    found = list(log_reader.read(LogRange(1, 7, 29_907), {b"7", b"8"}, timeout_s=60))
    expected = [at for at in range(7, 29_908) if at % 100 in (7, 8)]
    assert [offset for offset, _ in found] == expected
    assert [value for _, value in found] == [b"%d" % at for at in expected]


def test_one_record_is_a_range(log_reader: LogReader) -> None:
    """As of a user that nothing has changed since it was made."""
    assert list(log_reader.read(LogRange(1, 5, 5), {b"5"}, timeout_s=60)) == [(5, b"5")]


def test_what_takes_too_long_is_given_up(log_reader: LogReader) -> None:
    """At its deadline, at the end of the process, and where the log holds no such records yet."""
    with pytest.raises(ReadTimeoutError):
        list(log_reader.read(LogRange(1, 0, _RECORDS - 1), {b"1"}, timeout_s=-1))
    with pytest.raises(ReadTimeoutError):
        list(log_reader.read(LogRange(1, 0, _RECORDS), {b"1"}, timeout_s=1))
    log_reader.close()
    with pytest.raises(ReadTimeoutError):
        list(log_reader.read(LogRange(1, 0, 5), {b"1"}, timeout_s=60))


def test_records_that_the_log_does_not_hold_are_an_error(log_reader: LogReader) -> None:
    """Never an empty history."""
    with pytest.raises(RuntimeError, match="no longer holds"):
        list(log_reader.read(LogRange(1, 10**9, 10**9), {b"1"}, timeout_s=60))


def test_a_follower_has_caught_up_with_the_last_record(env: Ground) -> None:
    """In every partition."""
    settings = env.settings
    ensure_topics(settings)
    topic = settings.topics.job_status
    producer = make_producer(settings.kafka)
    for partition in range(topic.partitions):
        producer.produce(topic.name, b"no event", b"1", partition)
    assert producer.flush(60) == 0
    follower = TopicFollower(settings.kafka, topic, properties=_SILENT)
    try:
        assert list(follower.read_to_end(60)) == []
        assert follower.has_caught_up
    finally:
        follower.close()


def test_a_partition_that_a_client_does_not_know_is_looked_for_anew(env: Ground) -> None:
    """Whatever it has once learnt of the topic, it is asked again for the next time."""
    ensure_topics(env.settings)
    kafka, topic = env.settings.kafka, env.settings.topics.user_events
    with RangeReader(kafka, "test") as reader:

        def is_found(partition: int) -> bool:
            with contextlib.suppress(KafkaUnreachableError):
                return reader.bounds(topic.name, partition) == (0, 0)
            return False

        wait_until(lambda: is_found(0), 30, saying="the topic is found")
        assert not is_found(topic.partitions)
        more = NewPartitions(topic.name, topic.partitions + 1)
        admin = make_admin(kafka)
        admin.create_partitions([more])[topic.name].result(60)
        wait_until(lambda: is_found(topic.partitions), 60, saying="the partition is found")
