"""Makes, closes to producers, reopens and deletes the topics of a log being moved."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final, cast

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import (
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    ConfigSource,
    ResourceType,
)

from deploy.log_migration import MoveFailedError, MoveRefusedError
from ingest_api.kafka.topic_setup import ensure_topics
from schemas.clients.kafka import make_admin, make_producer
from schemas.clients.ranges import RangeReader
from schemas.codec.codec import encode
from schemas.events import NO_JOB, JobSealed
from schemas.log.digests import digest_headers
from schemas.log.truncation import truncated

if TYPE_CHECKING:
    from collections.abc import Iterable

    from schemas.config.settings import Settings
    from schemas.log.topics import Topic

_TIMEOUT_S: Final = 20.0
_PAUSE_S: Final = 0.1
_LIMIT: Final = "max.message.bytes"
_CLOSED: Final = "1"
"""No record is so small, so a broker with this limit acknowledges none."""
_PROBE: Final = encode(JobSealed(job_id=NO_JOB, rows=0, digest=0))
"""A record that every reader skips as a repeat: no job has this id."""


class TopicAdmin:
    """Administers the topics of one log, through one client, which outlives its futures."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._admin = make_admin(settings.kafka)

    def names(self) -> set[str]:
        """Return all topics of the cluster."""
        return set(self._admin.list_topics(timeout=_TIMEOUT_S).topics)

    def partitions(self, topic: Topic) -> int:
        """Return the number of partitions of an existing topic."""
        with RangeReader(self._settings.kafka, "log-move") as reader:
            return len(reader.partitions(topic.name))

    def make(self, old: Settings, new: Settings) -> None:
        """Make the topics of the new version, with the configuration set on the old ones."""
        ensure_topics(new)
        pairs = zip(old.topics.by_part().values(), new.topics.by_part().values(), strict=True)
        for before, after in pairs:
            if own := self._own_settings(before.name):
                self._set(after.name, own)

    def delete(self, topics: Iterable[str]) -> None:
        """Delete those of the topics that exist; wait until they are gone."""
        there = set(topics) & self.names()
        if not there:
            return
        done = cast("dict[str, Any]", self._admin.delete_topics(list(there)))
        for future in done.values():
            future.result(timeout=_TIMEOUT_S)
        deadline_s = time.monotonic() + _TIMEOUT_S
        while there & self.names():
            if time.monotonic() > deadline_s:
                raise MoveFailedError(f"Kafka still has {', '.join(sorted(there))}")
            time.sleep(_PAUSE_S)

    def close(self, topic: Topic) -> None:
        """Make the broker refuse every producer's records from now on.

        On return the leader of every partition has refused a record, so it has the setting;
        a later leader reads that setting before it learns that it leads.
        """
        self._set(topic.name, {_LIMIT: _CLOSED})
        deadline_s = time.monotonic() + _TIMEOUT_S
        for partition in range(topic.partitions):
            while not self._is_refused(topic.name, partition):
                if time.monotonic() > deadline_s:
                    raise MoveFailedError(f"{topic.name} still takes records, though {_LIMIT} is 1")
                time.sleep(_PAUSE_S)

    def open(self, old: Topic, new: Topic) -> None:
        """Undo :meth:`close`; the earlier limit is read from the new topic, where there is one."""
        if self._own_settings(old.name).get(_LIMIT) != _CLOSED:
            return
        before = self._own_settings(new.name).get(_LIMIT) if new.name in self.names() else None
        self._set(old.name, {_LIMIT: before if before != _CLOSED else None})

    def ends(self, topic: Topic) -> list[int]:
        """Return the last stable offset of each partition.

        Raises:
            MoveRefusedError: the log does not begin with its first record.
        """
        bounds = self.bounds(topic)
        for partition, (low, _) in enumerate(bounds):
            if low:
                raise MoveRefusedError(truncated(topic.name, partition, low))
        return [high for _, high in bounds]

    def bounds(self, topic: Topic) -> list[tuple[int, int]]:
        """Return the first offset and the end of each partition."""
        with RangeReader(self._settings.kafka, "log-move") as reader:
            return [
                reader.bounds(topic.name, partition) for partition in reader.partitions(topic.name)
            ]

    def _is_refused(self, topic: str, partition: int) -> bool:
        found: list[KafkaError | None] = []
        producer = make_producer(self._settings.kafka)
        headers: Any = digest_headers(self._settings.keyring, topic, b"0", _PROBE)
        producer.produce(
            topic,
            _PROBE,
            b"0",
            partition,
            lambda error, _message: found.append(error),
            headers=headers,
        )
        producer.flush(_TIMEOUT_S)
        return (
            bool(found)
            and found[0] is not None
            and found[0].code() == KafkaError.MSG_SIZE_TOO_LARGE
        )

    def _own_settings(self, topic: str) -> dict[str, str | None]:
        """Return the configuration set on the topic itself, not on the broker for all."""
        resource = ConfigResource(ResourceType.TOPIC, topic)
        answer = cast("dict[Any, Any]", self._admin.describe_configs([resource]))
        try:
            entries = cast("dict[str, ConfigEntry]", answer[resource].result(_TIMEOUT_S))
        except KafkaException as error:
            raise MoveFailedError(f"{topic}: {error}") from error
        own = ConfigSource.DYNAMIC_TOPIC_CONFIG
        return {
            name: entry.value
            for name, entry in entries.items()
            # The copied records must keep their times.
            if ConfigSource(entry.source) == own and not name.startswith("message.timestamp.")
        }

    def _set(self, topic: str, values: dict[str, str | None]) -> None:
        changes = [
            ConfigEntry(
                name,
                value,
                incremental_operation=(
                    AlterConfigOpType.DELETE if value is None else AlterConfigOpType.SET
                ),
            )
            for name, value in values.items()
        ]
        resource = ConfigResource(ResourceType.TOPIC, topic, incremental_configs=changes)
        answer = cast("dict[Any, Any]", self._admin.incremental_alter_configs([resource]))
        for future in answer.values():
            future.result(_TIMEOUT_S)
