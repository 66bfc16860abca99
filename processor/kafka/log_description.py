"""Describes `user-events` as Kafka has it, before anything is read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, cast

from confluent_kafka import KafkaException, TopicCollection
from confluent_kafka.admin import ConfigResource, ResourceType

from processor.errors import NotReadyError, RefusedToStartError
from schemas.clients.kafka import make_admin

if TYPE_CHECKING:
    from confluent_kafka.admin import ConfigEntry, TopicDescription

    from schemas.config.settings import Settings

_ADMIN_TIMEOUT_S: Final = 10.0


@dataclass(frozen=True, slots=True)
class Log:
    """``user-events`` as Kafka has it."""

    topic_id: str
    partitions: int


def describe_log(settings: Settings) -> Log:
    """Look at ``user-events``.

    Raises:
        NotReadyError: Kafka cannot be reached, or the topic is not there yet.
        RefusedToStartError: the topic does not keep its records for ever.
    """
    name = settings.topics.user_events.name
    admin = make_admin(settings.kafka)
    try:
        topics = cast(
            "dict[str, Any]",
            admin.describe_topics(TopicCollection([name]), request_timeout=_ADMIN_TIMEOUT_S),
        )
        described = cast("TopicDescription", topics[name].result())
        resource = ConfigResource(ResourceType.TOPIC, name)
        configs = cast(
            "dict[Any, Any]",
            admin.describe_configs([resource], request_timeout=_ADMIN_TIMEOUT_S),
        )
        entries = cast("dict[str, ConfigEntry]", configs[resource].result())
    except KafkaException as error:
        raise NotReadyError(f"topic {name}: {error.args[0].str()}") from error
    retention = {key: entries[key].value for key in ("cleanup.policy", "retention.ms")}
    if retention != {"cleanup.policy": "delete", "retention.ms": "-1"}:
        raise RefusedToStartError(
            f"topic {name} does not keep its records for ever ({retention}), so a replay would "
            "lose users. Set cleanup.policy=delete and retention.ms=-1 on it."
        )
    return Log(topic_id=str(described.topic_id), partitions=len(described.partitions))
