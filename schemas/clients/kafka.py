"""Makes every client of Kafka, so that the settings for all of them stand once.

Properties of the settings (``ROLLCALL_KAFKA_…``) come before what a client can't do without, and
after what it merely prefers.
``properties`` are further ones of librdkafka, callbacks such as ``on_delivery`` and ``stats_cb``
among them.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Final

from confluent_kafka import Consumer, Producer
from confluent_kafka.admin import AdminClient

from schemas.runtime.outage import KAFKA

if TYPE_CHECKING:
    from collections.abc import Mapping

    from confluent_kafka import KafkaError

_log: Final = logging.getLogger("rollcall.kafka")


def _note_error(error: KafkaError) -> None:
    """Log what ends a client, and tell an outage; other errors are in librdkafka's own log."""
    if error.fatal():
        _log.critical("FATAL %s: %s", error.name(), error.str())
    elif error.name() == "_ALL_BROKERS_DOWN":
        KAFKA.suspect()


_PREFERRED: Final[dict[str, Any]] = {
    "reconnect.backoff.max.ms": 1000,
    "error_cb": _note_error,
    # Also what a batch may come to by lz4 or zstd, else 100 MB; more than a fetch (50 MB).
    "receive.message.max.bytes": 64 << 20,
}
_CONSUMER: Final[dict[str, Any]] = {
    # Offsets are kept where the tables are; those of a lease are committed one by one.
    "enable.auto.commit": False,
    # An offset that the log does not hold is never replaced by another in silence.
    "auto.offset.reset": "error",
    # Else rows of a transaction that was aborted would count.
    "isolation.level": "read_committed",
    "fetch.error.backoff.ms": 50,
    "fetch.queue.backoff.ms": 10,
}
READ_TO_END: Final[dict[str, Any]] = {"enable.partition.eof": True, "auto.offset.reset": "earliest"}
"""Properties of a consumer that reads a topic from its first record to its end.

It begins at offset 0, because librdkafka takes half a second to resolve ``OFFSET_BEGINNING``.
"""
READ_WHILE_WAITED_FOR: Final[dict[str, Any]] = {
    "fetch.error.backoff.ms": 20,
    "fetch.wait.max.ms": 20,
    "queued.max.messages.kbytes": 16_384,
}
"""Properties of a consumer that reads a range while a request waits: quick, little read ahead."""

LONGEST_POLL_S: Final = 60
MEMBER: Final[dict[str, Any]] = {
    "partition.assignment.strategy": "cooperative-sticky",
    # The least that brokers allow by default; a dead member is replaced after that.
    "session.timeout.ms": 6_000,
    "heartbeat.interval.ms": 1_000,
    # So long the group waits for a member that died while joining, and assigns nothing meanwhile.
    "max.poll.interval.ms": 1_000 * LONGEST_POLL_S,
}
"""Properties of a member of a group; it must poll within each :data:`LONGEST_POLL_S`."""


def make_consumer(
    kafka: Mapping[str, str], group: str, properties: Mapping[str, Any] | None = None
) -> Consumer:
    """Return a consumer that joins the group once it subscribes; it never commits by itself."""
    config = {**_PREFERRED, **kafka, **_CONSUMER, "group.id": group, **(properties or {})}
    return Consumer(config, logger=_log)


def make_reader(
    kafka: Mapping[str, str], purpose: str, properties: Mapping[str, Any] | None = None
) -> Consumer:
    """Return a consumer that reads by assignment, outside of every group.

    librdkafka requires a group's name, which is never joined; ``purpose`` shows in it.
    """
    # The end of a partition is told by a fetch that waited for nothing.
    quick = {"fetch.wait.max.ms": 50}
    return make_consumer(kafka, f"rollcall-{purpose}", quick | dict(properties or {}))


def make_producer(
    kafka: Mapping[str, str], properties: Mapping[str, Any] | None = None
) -> Producer:
    """Return a producer whose records are acknowledged by all replicas, each once and in order.

    Discard one that has failed to deliver: what an idempotent producer does after a gap in its
    sequence depends on whether the broker has the record, which it doesn't know.
    """
    needed = {"acks": "all", "enable.idempotence": True}
    config = {**_PREFERRED, **kafka, **needed, **(properties or {})}
    return Producer(config, logger=_log)


def make_admin(
    kafka: Mapping[str, str], properties: Mapping[str, Any] | None = None
) -> AdminClient:
    """Return an admin client; it must outlive the futures that it returns."""
    return AdminClient({**_PREFERRED, **kafka, **(properties or {})}, logger=_log)
