"""The one reader of `job-events` and other topics of events: follows all of it, for who polls.

What its records mean is a fold of each reader's own, which takes one event after another.
Reader and fold go on whatever a record holds: what is no event is skipped, alike by all, so it
changes nothing that they agree on.
What may be an event and cannot be read now is never skipped: it comes in a later call.
Where the log is signed (:mod:`schemas.log.digests`), what has no right digest is no event; and
what has one, in a schema that is not known, is an event of a later version of Rollcall.
"""

from __future__ import annotations

import time
from collections import Counter, deque
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NoReturn

import structlog
from confluent_kafka import KafkaException, TopicPartition

from schemas.clients.errors import KafkaUnreachableError, LaterVersionError
from schemas.clients.event_schemas import OWN_SCHEMAS
from schemas.clients.kafka import READ_TO_END, make_reader
from schemas.clients.metrics import FORGED_RECORDS
from schemas.clients.ranges import is_end
from schemas.clients.unreadable import UnreadableBatch, UnreadableBatches
from schemas.clients.watermarks import watermarks
from schemas.codec.codec import UndecodableError
from schemas.codec.registry_protocol import RegistryUnreachableError
from schemas.log.digests import SignedRecords
from schemas.log.record_headers import headers_of
from schemas.runtime.tracing import traceparent_in

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from confluent_kafka import KafkaError, Message

    from schemas.clients.errors import ClientError
    from schemas.clients.event_schemas import EventSchemas
    from schemas.events import Event
    from schemas.log.digests import Keyring
    from schemas.log.topics import Topic

_BATCH: Final = 1000
_POLL_S: Final = 0.2
_MOST_KEYS: Final = 32
"""Whoever may write to the topic may make up more."""
_ASK_S: Final = 2.0
_TELL_EVERY_S: Final = 60.0
# A reader that waits for the next record asks twice a second, not as often as one that waits for
# an end: followers of five processes took a broker that had nothing to do 4 % of a processor.
_PROPERTIES: Final[dict[str, Any]] = {**READ_TO_END, "fetch.wait.max.ms": 500}
FROM_FIRST: Final[dict[str, Any]] = {"auto.offset.reset": "error"}
"""Properties of who reads nothing rather than a topic without its first records."""
_log = structlog.stdlib.get_logger("rollcall.topics")


@dataclass(frozen=True, slots=True)
class LoggedEvent:
    """An event, and where and when it stands in the log.

    ``recorded_ms`` is whatever its writer or the broker has set, since 1970.
    ``is_right``: whether its digest is, None where it has none.
    ``absent_key``: the id of the key that a digest names, where that is not among ours.
    ``traceparent`` is that of its headers (see :mod:`schemas.runtime.tracing`).
    """

    offset: int
    event: Event
    recorded_ms: int
    is_right: bool | None = None
    absent_key: str | None = None
    traceparent: str | None = None


class TopicFollower:
    """Reads every partition of a topic, outside of any group; used by one thread.

    ``first_offset`` is that of the first record it came to, None before; ``next_offset`` the one
    after the last record that was given or skipped.  Both mean something where the topic has
    one partition.  ``held_up_by`` says why the next event could not be read just now.
    ``absent_keys`` counts the digests by keys that are not ours, of a few of them.
    Where ``waits_for_later_versions`` is set, an event of a later version is not skipped, either.
    """

    def __init__(
        self,
        kafka: Mapping[str, str],
        topic: Topic,
        schemas: EventSchemas = OWN_SCHEMAS,
        *,
        properties: Mapping[str, Any] | None = None,
        keyring: Keyring | None = None,
    ) -> None:
        self.first_offset: int | None = None
        self.next_offset = 0
        self._topic = topic.name
        self._signed = SignedRecords(keyring, topic.name)
        FORGED_RECORDS.labels(topic.name)  # is 0 from the start
        self.absent_keys = Counter[str]()
        self._records_read = 0
        self._schemas = schemas
        self.waits_for_later_versions = False
        self._tell_at_s = 0.0
        self._waiting: deque[Message] = deque()
        self.held_up_by: RegistryUnreachableError | ClientError | None = None
        self._damage: KafkaUnreachableError | None = None
        self._unread = set(range(topic.partitions))
        self._ends: dict[int, int] = {}
        self._consumer = make_reader(kafka, "follower", {**_PROPERTIES, **(properties or {})})
        self._unreadable = UnreadableBatches(kafka, self._consumer)
        self._is_reading = False

    @property
    def has_caught_up(self) -> bool:
        """True once every partition has been read to its end."""
        return not self._unread

    def read_to_end(self, quiet_s: float) -> Iterator[LoggedEvent]:
        """Yield the events up to the topic's end; blocks until that was reached for the first time.

        Raises:
            KafkaUnreachableError: nothing has come for so long, and the end was not reached.
            RegistryUnreachableError: an event's schema cannot be had now; the next call goes on
                with it.
        """
        quiet_until_s = time.monotonic() + quiet_s
        before = -1
        while self._records_read != before or not self.has_caught_up:
            before = self._records_read
            yield from self.poll(0 if self.has_caught_up else _POLL_S)
            if self.held_up_by is not None:
                raise self.held_up_by
            if self._records_read != before:
                quiet_until_s = time.monotonic() + quiet_s
            elif time.monotonic() > quiet_until_s:
                raise KafkaUnreachableError(
                    f"all records of {self._topic}", f"none came for {quiet_s:g} s"
                )

    def poll(self, timeout_s: float) -> Iterator[LoggedEvent]:
        """Yield the events that have come; waits so long for the first of them.

        Where an event's schema cannot be had now, it and all after it come in a later call.
        """
        self.held_up_by = self._damage
        if not self._is_reading:
            self._begin()
        if not self._waiting:
            first = self._consumer.poll(timeout_s)
            self._waiting += [] if first is None else [first, *self._consumer.consume(_BATCH, 0)]
        while self._waiting:
            try:
                found = self._event(self._waiting[0])
            except (RegistryUnreachableError, LaterVersionError) as error:
                self.held_up_by = error
                time.sleep(timeout_s)
                return
            self._waiting.popleft()
            if found is not None:
                yield found

    def _begin(self) -> None:
        """Ask where the topic ends, then read it: what is asked later waits behind the reading.

        Where that is not known, the broker tells an end once it has waited for more.
        """
        # From 0, because librdkafka takes half a second to find out what OFFSET_BEGINNING is.
        places = [TopicPartition(self._topic, partition, 0) for partition in sorted(self._unread)]
        with suppress(KafkaException):
            for place in places:
                begin, end = watermarks(self._consumer, place, _ASK_S)
                self._ends[place.partition] = end
                self._note_read(place.partition, begin)
        self._consumer.assign(places)
        self._is_reading = True

    def _note_read(self, partition: int, next_offset: int) -> None:
        if next_offset >= self._ends.get(partition, next_offset + 1):
            self._unread.discard(partition)

    def _event(self, message: Message) -> LoggedEvent | None:
        error = message.error()
        if error is not None:
            message = self._unreadable.stepped_over(message)
            if message.error() is not None:
                self._note(error, message)
                return None
        offset = message.offset() or 0
        found = self._logged(message, offset)
        self._records_read += 1
        self._damage = None
        self.next_offset = offset + 1
        self._note_read(message.partition() or 0, offset + 1)
        if self.first_offset is None:
            is_batch = isinstance(message, UnreadableBatch)
            self.first_offset = message.first if is_batch else offset
        return found

    def _logged(self, message: Message, offset: int) -> LoggedEvent | None:
        if isinstance(message, UnreadableBatch):
            # None of ours: no client of ours makes such a batch.
            FORGED_RECORDS.labels(self._topic).inc(message.batches)
            return None
        headers = headers_of(message)
        is_right = self._signed.is_right(message.key(), message.value(), headers)
        absent_key = None if is_right else self._signed.absent_key(headers)
        if absent_key and (absent_key in self.absent_keys or len(self.absent_keys) < _MOST_KEYS):
            self.absent_keys[absent_key] += 1
        if self._signed.is_required and not is_right:
            # Before its schema is asked for: what is not ours can hold up nobody.
            FORGED_RECORDS.labels(self._topic).inc()
            _log.error(
                "record has no right digest", topic=self._topic, offset=offset, key=absent_key
            )
            return None
        try:
            event = self._schemas.decode(message.value())
        except UndecodableError as reason:
            if self.waits_for_later_versions and is_right and reason.code == "UNKNOWN_SCHEMA":
                self._raise_later(offset)
            _log.warning("record is no event", topic=self._topic, offset=offset, code=reason.code)
            return None
        self._signed.note(event, is_right=is_right)
        return LoggedEvent(
            offset, event, message.timestamp()[1], is_right, absent_key, traceparent_in(headers)
        )

    def _raise_later(self, offset: int) -> NoReturn:
        error = LaterVersionError(self._topic, offset)
        if time.monotonic() >= self._tell_at_s:
            self._tell_at_s = time.monotonic() + _TELL_EVERY_S
            _log.error("topic waits", topic=self._topic, error=str(error))
        raise error

    def _note(self, error: KafkaError, message: Message) -> None:
        if is_end(error):
            self._unread.discard(message.partition() or 0)
        else:
            # librdkafka tries again by itself; meanwhile whoever waits gets a time-out.
            _log.warning("topic cannot be read", topic=self._topic, error=error.str())
            if self._unreadable.is_damaged(message):
                self._damage = KafkaUnreachableError(self._topic, error.str())

    def close(self) -> None:
        """Leave the broker."""
        self._unreadable.close()
        self._consumer.close()
