"""Appends records to Kafka from the event loop; each append is awaited until replicated."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from confluent_kafka import KafkaError, KafkaException

from ingest_api.errors import LogUnavailableError, RecordTooLargeError
from schemas.clients.kafka import make_producer
from schemas.clients.kafka_statistics import statistics
from schemas.runtime.essential import EssentialThread

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from confluent_kafka import Message

_POLL_S: Final = 0.1
_QUEUE_KIB: Final = 256 * 1024
"""Above what all writers together may have under way, so that no writer meets a full queue."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """A record to be appended, and its topic and partition."""

    topic: str
    partition: int
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes]] = ()


class Appender:
    """Appends records in order by partition, acknowledged by all replicas, each once.

    Used from one event loop.
    A producer that failed to deliver is thrown away with all that it still holds,
    and the next record gets a new one (see :func:`schemas.clients.kafka.make_producer`).
    """

    def __init__(
        self,
        kafka: Mapping[str, str],
        client: str,
        *,
        timeout_s: float,
        most_bytes: int | None = None,
    ) -> None:
        """``client`` names it in metrics.

        ``most_bytes`` of one record, where it may be larger than what this service makes.
        """
        self._kafka = kafka
        self._client = client
        self._properties: dict[str, Any] = {
            "linger.ms": 0,
            "message.timeout.ms": int(timeout_s * 1000),
            "queue.buffering.max.kbytes": _QUEUE_KIB,
        }
        if most_bytes is not None:
            self._properties["message.max.bytes"] = most_bytes
        self._polled: _PolledProducer | None = None

    def warm(self) -> None:
        """Connect before the first record is there, which is then appended without delay."""
        self._live_producer()

    def append(self, record: Record) -> asyncio.Future[int]:
        """Append the record; return at once a future of its offset, set once all replicas have it.

        The future raises :class:`LogUnavailableError` after the time-out at the latest.
        """
        polled = self._live_producer()
        loop = asyncio.get_running_loop()
        future: asyncio.Future[int] = loop.create_future()

        def on_delivery(error: KafkaError | None, message: Message) -> None:
            # Of a closed loop nobody waits any more.
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(_resolve, future, error, message.offset())

        polled.produce(record, on_delivery)
        return future

    def _live_producer(self) -> _PolledProducer:
        if self._polled is None or self._polled.is_discarded:
            self._polled = _PolledProducer(self._kafka, self._properties | statistics(self._client))
        return self._polled

    def discard(self) -> None:
        """Discard the producer, with what it has not sent."""
        if self._polled is not None:
            self._polled.discard()


def _resolve(future: asyncio.Future[int], error: KafkaError | None, offset: int | None) -> None:
    if future.done():
        return
    if error is None and offset is not None:
        future.set_result(offset)
    else:
        future.set_exception(_failure_of(error))


def _failure_of(error: KafkaError | None) -> LogUnavailableError:
    is_too_large = error is not None and error.code() == KafkaError.MSG_SIZE_TOO_LARGE
    return (RecordTooLargeError if is_too_large else LogUnavailableError)(str(error))


class _PolledProducer:
    """A producer and the thread that serves its delivery reports, until it is discarded."""

    def __init__(self, kafka: Mapping[str, str], properties: Mapping[str, Any]) -> None:
        self._producer = make_producer(kafka, properties)
        self._queueing = threading.Lock()
        self._thread = EssentialThread("appender", self._serve)
        self._thread.start()

    @property
    def is_discarded(self) -> bool:
        """Whether it has failed or been discarded; nothing may be appended then."""
        return self._thread.stopping.is_set()

    def discard(self) -> None:
        """Have the thread discard it; records not sent yet are reported as failed."""
        self._thread.stopping.set()

    def produce(
        self, record: Record, on_delivery: Callable[[KafkaError | None, Message], None]
    ) -> None:
        """Queue the record; ``on_delivery`` is called in the serving thread.

        Raises:
            LogUnavailableError: it is not queued.
        """

        def reported(error: KafkaError | None, message: Message) -> None:
            if error is not None:
                self._thread.stopping.set()
            on_delivery(error, message)

        try:
            with self._queueing:
                if self.is_discarded:
                    raise LogUnavailableError("another record was not delivered")
                self._producer.produce(
                    record.topic,
                    record.value,
                    record.key,
                    record.partition,
                    reported,
                    headers=list(record.headers),
                )
        except KafkaException as error:
            failure = _failure_of(error.args[0])
            # What was refused for its size before it was queued leaves no gap in the sequence.
            if not isinstance(failure, RecordTooLargeError):
                self._thread.stopping.set()
            raise failure from error
        except BufferError as error:
            self._thread.stopping.set()
            raise LogUnavailableError(str(error)) from error

    def _serve(self) -> None:
        while not self._thread.stopping.is_set():
            self._producer.poll(_POLL_S)
        # No record is queued any more from here on, so each is reported.
        with self._queueing:
            self._producer.purge()
        self._producer.poll(_POLL_S)
