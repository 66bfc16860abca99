"""Creates missing topics, and checks existing ones, before anything is appended to them.

What cannot be changed without losing or misplacing records is left alone: the error
says what is wrong and what to do.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final, cast

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import ConfigResource, NewTopic, ResourceType

from ingest_api.errors import TopicSetupError
from schemas.clients.errors import KafkaUnreachableError, kafka_asked
from schemas.clients.kafka import make_admin

if TYPE_CHECKING:
    from collections.abc import Sequence

    from confluent_kafka.admin import AdminClient, ConfigEntry

    from schemas.config.settings import Settings
    from schemas.log.topics import Topic

_TIMEOUT_S: Final = 4.0
_CREATE_S: Final = 15.0
_VISIBLE_S: Final = 10.0
_PAUSE_S: Final = 0.05
_EVER: Final = ("cleanup.policy", "retention.ms", "retention.bytes")
_PROPERTIES: Final = {"socket.timeout.ms": int(_CREATE_S * 1000)}


def ensure_topics(settings: Settings) -> None:
    """Create the topics that are missing as :mod:`schemas.log.topics` says; check the others.

    Blocks for most of a minute at most, for a few seconds where Kafka is down.
    May be called again, and by several processes at once.

    Raises:
        TopicSetupError: Kafka cannot be reached, or a topic that exists is not usable.
    """
    admin = make_admin(settings.kafka, _PROPERTIES)
    try:
        with kafka_asked("its topics"):
            found = _partitions_by_topic(admin)
            missing = [topic for topic in settings.topics.all() if topic.name not in found]
            if missing:
                _create(admin, missing, settings.replication_factor)
                found = _wait_until_visible(admin, missing)
            _check_partitions(found, settings)
            # Of what was just made not every broker knows yet.
            kept = [settings.topics.job_events, settings.topics.user_events]
            _check_kept_for_ever(admin, [topic for topic in kept if topic not in missing])
    except KafkaUnreachableError as error:
        raise TopicSetupError(str(error)) from error


def _partitions_by_topic(admin: AdminClient) -> dict[str, int]:
    found = admin.list_topics(timeout=_TIMEOUT_S).topics
    return {name: len(topic.partitions) for name, topic in found.items() if topic.error is None}


def _create(admin: AdminClient, missing: Sequence[Topic], replication_factor: int) -> None:
    made = cast(
        "dict[str, Any]",
        admin.create_topics(
            [
                NewTopic(
                    topic.name,
                    num_partitions=topic.partitions,
                    replication_factor=replication_factor,
                    config={**topic.config, **_durability(replication_factor)},
                )
                for topic in missing
            ],
            operation_timeout=_CREATE_S,
            request_timeout=_CREATE_S,
        ),
    )
    for future in made.values():
        try:
            future.result()
        except KafkaException as error:
            if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
                raise


def _durability(replication_factor: int) -> dict[str, str]:
    """Return the setting by which an acknowledged record is on two brokers, if there are two."""
    return {"min.insync.replicas": str(max(1, replication_factor - 1))}


def _wait_until_visible(admin: AdminClient, made: Sequence[Topic]) -> dict[str, int]:
    """Wait for the topics: a broker may report one as created before its metadata names it."""
    names = {topic.name for topic in made}
    deadline_s = time.monotonic() + _VISIBLE_S
    while not names <= (found := _partitions_by_topic(admin)).keys():
        if time.monotonic() > deadline_s:
            missing = ", ".join(sorted(names - found.keys()))
            raise TopicSetupError(f"Kafka has made these topics but does not show them: {missing}.")
        time.sleep(_PAUSE_S)
    return found


def _check_partitions(found: dict[str, int], settings: Settings) -> None:
    topics = settings.topics
    # The other topics' keys may lie anywhere.
    for topic in (topics.job_events, topics.user_events, topics.uploads):
        if found[topic.name] != topic.partitions:
            raise TopicSetupError(
                f"The topic {topic.name} has {found[topic.name]} partitions and must have"
                f" {topic.partitions}: for user-events, set ROLLCALL_PARTITIONS to what it was made"
                " with; partitions that were added cannot be taken away, so otherwise start with"
                " new topics (ROLLCALL_TOPIC_PREFIX)."
            )


def _check_kept_for_ever(admin: AdminClient, topics: Sequence[Topic]) -> None:
    if not topics:
        return
    resources = [ConfigResource(ResourceType.TOPIC, topic.name) for topic in topics]
    answers = cast("dict[Any, Any]", admin.describe_configs(resources, request_timeout=_TIMEOUT_S))
    for topic, resource in zip(topics, resources, strict=True):
        entries = cast("dict[str, ConfigEntry]", answers[resource].result())
        wrong = {
            name: entries[name].value for name in _EVER if entries[name].value != topic.config[name]
        }
        if wrong:
            raise TopicSetupError(
                f"The topic {topic.name} does not keep its records for ever ({wrong}):"
                f" set {', '.join(f'{name}={topic.config[name]}' for name in wrong)} on it."
            )
