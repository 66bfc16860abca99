"""Which jobs are reverted, read from `job-events` up to its end.

For whoever builds an instance::

    reverts = fetch_reverts(settings)       # blocks: a second or two, ten at most
    reverts.now()                           # frozenset[int]: jobs to leave out
    reverts.at_time(time)                   # … as it was at a time (aware datetime)
    reverts.before_job(job_id)              # … as it was when that job was accepted; KeyError
    reverts.is_known(job_id)                # whether there is such a job
    reverts.reverted(job_id)                # JobReverted (with the job's counts) or None

The rule itself is :mod:`schemas.reverts`, which the API's side follows too.
"""

from __future__ import annotations

import logging
import time
import uuid
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, TopicPartition

from processor.setup import NotReadyError
from schemas.codec import UndecodableError, decode
from schemas.reverts import Reverts

if TYPE_CHECKING:
    from confluent_kafka import Message

    from schemas.settings import Settings

_QUIET_S: Final = 10.0
_POLL_S: Final = 0.2
_BATCH: Final = 1000
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def fetch_reverts(settings: Settings) -> Reverts:
    """What all of `job-events`, up to its end as it is now, says of reverted jobs.

    Blocks while records come; each call reads the topic again from its beginning.

    Raises:
        NotReadyError: Kafka does not answer, or the topic is not there.
    """
    topic = settings.topics.job_events.name
    consumer = Consumer(
        settings.kafka
        | {
            "group.id": f"{settings.group}-reverts-{uuid.uuid4()}",  # required, and never joined
            "enable.auto.commit": False,
            "auto.offset.reset": "error",
            "enable.partition.eof": True,
        },
        logger=logging.getLogger("rollcall.kafka"),
    )
    try:
        consumer.assign([TopicPartition(topic, 0, OFFSET_BEGINNING)])
        return _read_to_end(consumer, topic)
    except KafkaException as error:
        raise NotReadyError(f"topic {topic}: {error}") from error
    finally:
        consumer.close()


def _read_to_end(consumer: Consumer, topic: str) -> Reverts:
    reverts = Reverts()
    deadline_s = time.monotonic() + _QUIET_S
    while time.monotonic() < deadline_s:
        for message in consumer.consume(_BATCH, _POLL_S):
            error = message.error()
            if error is None:
                _apply(reverts, message)
                deadline_s = time.monotonic() + _QUIET_S
            elif error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001 - its public name
                return reverts
    raise NotReadyError(f"topic {topic} does not answer")


def _apply(reverts: Reverts, message: Message) -> None:
    try:
        event = decode(message.value())
    except UndecodableError:
        return  # the API's side skips it alike
    recorded_at = _EPOCH + timedelta(milliseconds=message.timestamp()[1])
    reverts.apply(message.offset() or 0, event, recorded_at)
