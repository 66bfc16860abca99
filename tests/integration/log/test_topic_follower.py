"""A follower knows where its topic ends without waiting for records that don't come."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ingest_api.kafka.topic_setup import ensure_topics
from schemas.clients.kafka import make_producer
from schemas.clients.topic_follower import TopicFollower

if TYPE_CHECKING:
    from tests.support.servers.surroundings import Ground

_SILENT = {"fetch.wait.max.ms": 280_000, "socket.timeout.ms": 300_000}
"""The broker would tell an end after nearly five minutes."""


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
