"""Looks at Kafka: its brokers, and how the topics are set up, kept and replicated."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, cast

import confluent_kafka
from confluent_kafka.admin import ConfigResource, ResourceType

from deploy.doctor.finding import Finding, judged
from schemas.clients.errors import KafkaUnreachableError, kafka_asked
from schemas.clients.job_events import absent_keys, at_current_version, digest_marks, fetch_key
from schemas.clients.kafka import make_admin
from schemas.clients.log_start import LogStart
from schemas.codec.registry_protocol import RegistryUnreachableError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from confluent_kafka.admin import ClusterMetadata, ConfigEntry

    from schemas.config.settings import Settings
    from schemas.log.topics import Topic

_TIMEOUT_S: Final = 5.0
_LARGEST: Final = "max.message.bytes"
_LEAST_MESSAGE_BYTES: Final = 1_048_588
"""Kafka's default of ``max.message.bytes``; chunks of files and rows stay below it."""

_ALONE: Final = ", so a broker that is lost takes its records with it"


@dataclass(frozen=True, slots=True)
class _Cluster:
    """The cluster, as far as its topics are the log's; configurations by topic and name."""

    settings: Settings
    metadata: ClusterMetadata
    configs: dict[str, dict[str, str | None]]

    def topics(self) -> list[Topic]:
        """Return the log's topics that are there."""
        return [each for each in self.settings.topics.all() if each.name in self.configs]

    @property
    def is_whole(self) -> bool:
        """True where all of the log's topics are there."""
        return len(self.topics()) == len(self.settings.topics.all())

    def as_it_is(self) -> Settings:
        """Return the settings with the partitions that user-events has."""
        found = self.metadata.topics[self.settings.topics.user_events.name]
        return self.settings.with_partitions(len(found.partitions))


def current_log(settings: Settings) -> Settings:
    """Return the settings with the topics in use; they may have moved.

    Raises:
        KafkaUnreachableError: it cannot be known now.
    """
    try:
        return at_current_version(settings)
    except RegistryUnreachableError as error:
        raise KafkaUnreachableError("its version", error) from error


def log_as_it_is(settings: Settings) -> Settings | None:
    """Return the settings with the partitions that there are; None where topics are missing.

    Raises:
        KafkaUnreachableError: it does not answer.
    """
    cluster = _look(settings)
    return cluster.as_it_is() if cluster.is_whole else None


def kafka_findings(settings: Settings) -> Iterator[Finding]:
    """Yield what there is to say of Kafka.

    Raises:
        KafkaUnreachableError: it does not answer.
    """
    cluster = _look(settings)
    brokers = len(cluster.metadata.brokers)
    client = f"librdkafka {confluent_kafka.libversion()[0]}"
    yield Finding("kafka", "fine", f"brokers that answer: {brokers}; the client is {client}")
    yield _topics(cluster)
    if cluster.topics():
        yield _retention(cluster)
        yield _message_sizes(cluster)
        yield from _replication(cluster)
    if cluster.is_whole:
        yield _beginning(cluster)
        yield _key(settings)
        yield _digests(settings)


def _look(settings: Settings) -> _Cluster:
    with kafka_asked("its topics"):
        admin = make_admin(settings.kafka)
        metadata = admin.list_topics(timeout=_TIMEOUT_S)
        there = [each.name for each in settings.topics.all() if each.name in metadata.topics]
        resources = [ConfigResource(ResourceType.TOPIC, name) for name in there]
        asked = cast(
            "dict[Any, Any]", admin.describe_configs(resources, request_timeout=_TIMEOUT_S)
        )
        configs = {
            resource.name: {
                name: entry.value
                for name, entry in cast("dict[str, ConfigEntry]", answer.result()).items()
            }
            for resource, answer in asked.items()
        }
    return _Cluster(settings, metadata, configs)


def _topics(cluster: _Cluster) -> Finding:
    topics = cluster.settings.topics.all()
    missing = [topic.name for topic in topics if topic.name not in cluster.configs]
    if missing:
        remedy = "start the API, which makes them; or look at ROLLCALL_TOPIC_PREFIX"
        return Finding("topics", "todo", f"{', '.join(missing)}: not there", remedy)
    wrong = [
        f"{topic.name} has {found} partitions instead of {topic.partitions}"
        for topic in topics
        if (found := len(cluster.metadata.topics[topic.name].partitions)) != topic.partitions
    ]
    return judged(
        "topics",
        f"all {len(topics)} are there, in version {cluster.settings.log_version} of the log; "
        f"{cluster.settings.topics.user_events.name} has {cluster.settings.partitions} partitions",
        "; ".join(wrong) or None,
        "set ROLLCALL_PARTITIONS to what it was made with; `rollcall rekey` changes it",
    )


def _retention(cluster: _Cluster) -> Finding:
    wrong = [
        (f"{topic.name}: {name}", cluster.configs[topic.name][name], value)
        for topic in cluster.topics()
        for name, value in topic.config.items()
        if name != _LARGEST and cluster.configs[topic.name][name] != value
    ]
    days = cluster.settings.uploads_retention_days
    return judged(
        "retention",
        f"the log is kept for ever, uploaded files {days} days",
        "; ".join(f"{what} is {found}" for what, found, _ in wrong) or None,
        f"set on the topics {', '.join(f'{what}={needed}' for what, _, needed in wrong)}",
    )


def _message_sizes(cluster: _Cluster) -> Finding:
    needed = {
        topic.name: int(topic.config.get(_LARGEST, _LEAST_MESSAGE_BYTES))
        for topic in cluster.topics()
    }
    wrong = {
        name: least
        for name, least in needed.items()
        if int(cluster.configs[name][_LARGEST] or 0) < least
    }
    remedy = "set on them " + ", ".join(f"{name}: {least}" for name, least in wrong.items())
    fault = f"{_LARGEST} is too small: {', '.join(wrong)}" if wrong else None
    return judged("message size", "each topic takes the largest records", fault, remedy)


def _replication(cluster: _Cluster) -> Iterator[Finding]:
    wanted = cluster.settings.replication_factor
    found = {
        topic.name: list(cluster.metadata.topics[topic.name].partitions.values())
        for topic in cluster.topics()
    }
    fewest = min(len(each.replicas) for parts in found.values() for each in parts)
    fault = f"replicas of some topics: {fewest}, and ROLLCALL_REPLICATION_FACTOR is {wanted}"
    yield judged(
        "replication",
        f"{fewest} replica(s)"
        + (", so a broker that is lost takes records with it" * (fewest == 1)),
        fault if fewest < wanted else None,
        "add replicas with Kafka's own kafka-reassign-partitions.sh",
    )
    behind = [
        f"{name}-{part.id}"
        for name, parts in found.items()
        for part in parts
        if len(part.isrs) < len(part.replicas)
    ]
    insync = {name: int(cluster.configs[name]["min.insync.replicas"] or 1) for name in found}
    unwritable = [name for name, least in insync.items() if least > fewest]
    loose = [name for name, least in insync.items() if least < fewest - 1]
    faults = [
        f"replicas are behind or down: {', '.join(behind)}" if behind else "",
        f"min.insync.replicas is more than there are replicas: {unwritable}" if unwritable else "",
        f"min.insync.replicas is below {fewest - 1}: {', '.join(loose)}" if loose else "",
    ]
    yield judged(
        "in sync",
        f"every replica is in sync; min.insync.replicas is {min(insync.values())}",
        "; ".join(filter(None, faults)) or None,
        f"start the brokers that are down; set min.insync.replicas={max(1, fewest - 1)}",
    )


def _beginning(cluster: _Cluster) -> Finding:
    topics = cluster.as_it_is().topics
    start = LogStart(cluster.settings.kafka, topics.job_events, topics.user_events)
    missing = start.missing()
    return judged("log", "it is there from its first record", missing, "restore it from a backup")


def _key(settings: Settings) -> Finding:
    made_for = fetch_key(settings)
    fault = settings.key_mismatch(made_for) if made_for else None
    return judged(
        "key",
        f"users are told apart by {made_for or settings.reconciliation_key}",
        fault or settings.digest_mismatch(digest_marks(settings)),
    )


def _digests(settings: Settings) -> Finding:
    absent = absent_keys(settings)
    named = ", ".join(f"{key} ({count})" for key, count in absent.items())
    signed = "every digest is by a key that is set"
    return judged(
        "digests",
        "records are not signed" if settings.keyring is None else signed,
        f"ROLLCALL_LOG_KEYS lacks keys that records of job-events name: {named}" if named else None,
        "set them again, behind the first, until the next `rollcall erase` or `rekey`: what they"
        " signed does not count in a rebuild; if you never had them, somebody forges records",
    )
