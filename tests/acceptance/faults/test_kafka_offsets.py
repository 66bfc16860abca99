"""Where a processor goes on from is what the tables say, whatever Kafka has."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from confluent_kafka import ConsumerGroupTopicPartitions, TopicPartition
from confluent_kafka.admin import AdminClient

from tests.support.data.files import tidy_csv
from tests.support.data.log_reading import read_topic

if TYPE_CHECKING:
    from tests.support.servers.rig import Rig
    from tests.support.servers.surroundings import Ground


def test_what_the_group_has_committed_decides_nothing(rig: Rig) -> None:
    """Neither offsets behind what was projected nor those at the log's end change a row."""
    rig.run(tidy_csv(range(300)))
    rig.processors[0].terminate()
    job_id = rig.submit(tidy_csv(range(200, 400), word="b"), "upsert")
    rig.wait_published(500 + 4 * rig.env.settings.topics.user_events.partitions)
    _commit_ends(rig.env)
    rig.restart_processor()
    rig.wait_ended(job_id, 60)
    rig.assert_as_modelled()


def _commit_ends(env: Ground) -> None:
    """Have the processors' group say that all of the log was read."""
    topic = env.settings.topics.user_events
    places = [
        TopicPartition(topic.name, partition, len(records))
        for partition, records in enumerate(read_topic(env.settings, topic))
    ]
    admin = AdminClient({"bootstrap.servers": env.surroundings.bootstrap_servers})
    wanted = ConsumerGroupTopicPartitions(env.settings.group, places)
    (done,) = cast("dict[str, Any]", admin.alter_consumer_group_offsets([wanted])).values()
    done.result(timeout=60)
