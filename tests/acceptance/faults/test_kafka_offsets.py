"""Where a processor goes on from is what the tables say, whatever Kafka has."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from confluent_kafka import ConsumerGroupTopicPartitions, TopicPartition
from confluent_kafka.admin import AdminClient

from ingest_api.publisher.consumer_lag import ConsumerLag
from tests.support.data.files import tidy_csv
from tests.support.data.log_reading import read_topic
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from tests.support.servers.rig import Rig
    from tests.support.servers.surroundings import Ground


def test_what_the_group_has_committed_decides_nothing(rig: Rig) -> None:
    """Neither offsets behind what was projected nor those at the log's end change a row.

    They are put right without a further record: a job that is overdue waits for them.
    """
    rig.run(tidy_csv(range(300)))
    rig.processors[0].terminate()
    job_id = rig.submit(tidy_csv(range(200, 400), word="b"), "upsert")
    rig.wait_published(500 + 4 * rig.env.settings.topics.user_events.partitions)
    topic = rig.env.settings.topics.user_events
    ends = [len(records) for records in read_topic(rig.env.settings, topic)]
    _commit(rig.env, ends)
    rig.restart_processor()
    rig.wait_ended(job_id, 60)
    rig.assert_as_modelled()
    rig.processors[0].terminate()
    _commit(rig.env, [0] * len(ends))
    rig.restart_processor()
    lag = ConsumerLag(rig.env.settings.kafka, topic, rig.env.settings.group)
    wait_until(lambda: lag.next_offsets() == ends, 60, saying="Kafka has the offsets again")


def _commit(env: Ground, offsets: list[int]) -> None:
    """Have the processors' group say that it has read so far."""
    name = env.settings.topics.user_events.name
    places = [TopicPartition(name, number, offset) for number, offset in enumerate(offsets)]
    admin = AdminClient({"bootstrap.servers": env.surroundings.bootstrap_servers})
    wanted = ConsumerGroupTopicPartitions(env.settings.group, places)
    (done,) = cast("dict[str, Any]", admin.alter_consumer_group_offsets([wanted])).values()
    done.result(timeout=60)
