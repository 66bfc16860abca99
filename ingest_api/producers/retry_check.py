"""Finds what changed a dead letter's key behind it: in the tables, and in the log itself.

The tables say who has the key now; what came since, and deletes, only the log knows:
it is read from where the dead letter stood up to its end.
So the answer holds for the log as it was at one moment.  An event that comes between that
moment and the append of the retry is older than the retry, which goes over it; nothing
here can prevent that, because Kafka appends without a condition.
:meth:`RetryCheck.overtaken` finds it afterwards, so that whoever retries is told.

Where a dead letter stood is said by the log as well: a record that was retried before is as
old as the dead letter it came from, whose own record may have been a retry.
Between partitions, and between versions of the log, places are compared by the records'
times, which their producers set: of a dead letter whose record is gone, by when the event
happened, if that is earlier than when the dead letter came to be.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from itertools import takewhile
from typing import TYPE_CHECKING, Final

from ingest_api.kafka.log_reader import LogRange, LogReader
from ingest_api.postgres.schema_names import PUBLIC
from ingest_api.producers.key_state import read_key_state
from ingest_api.producers.later_changes import Change, LaterChanges
from ingest_api.web.parameters import whole_number
from schemas.codec.codec import UndecodableError, decode
from schemas.events import UserRow
from schemas.log.record_headers import headers_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from confluent_kafka import Message

    from ingest_api.event_log.job_events import JobLog
    from ingest_api.kafka.log_reader import LogReading
    from ingest_api.postgres.pool import Database
    from ingest_api.producers.dead_letter_topic import DeadLetter, DeadLetterReader
    from ingest_api.producers.key_state import KeyState
    from ingest_api.producers.later_changes import Retriable
    from schemas.config.settings import Settings
    from schemas.events import Event

RETRIED_FROM: Final = "retried-from"
"""Header of a record that was retried: topic, partition and offset of the dead letter."""
_TIMEOUT_S: Final = 20.0
_MOST_RETRIES: Final = 100
_CLOCKS_MS: Final = 60_000


@dataclass(frozen=True, slots=True)
class Checked:
    """A letter whose key was looked at up to ``end`` of the partition that it goes to."""

    dead_letter: Retriable
    partition: int
    state: KeyState
    changes: LaterChanges
    end: int
    last: Change | None


class RetryCheck:
    """Checks retries for one API process; what blocks is for a thread that may wait."""

    def __init__(self, settings: Settings, database: Database, job_log: JobLog) -> None:
        self._key = settings.reconciliation_key
        self._database = database
        self._job_log = job_log
        self._kafka = settings.kafka
        self._topic = settings.topics.user_events.name
        self._ranges = LogReader(self._kafka, self._topic)

    def close(self) -> None:
        """End what is being read, as if it had taken too long."""
        self._ranges.close()

    # --- where a dead letter stood

    def position(
        self,
        dead_letters: DeadLetterReader,
        dead_letter: DeadLetter,
        value: bytes | None,
        partition: int,
    ) -> tuple[int, int]:
        """Return the offset up to which the partition is older than the dead letter; blocks.

        With it, the time at which the dead letter that it was before all retries came to be.

        Raises:
            ReadTimeoutError, LogUnavailableError: Kafka did not say it in time.
        """
        first, source = self._first(dead_letters, dead_letter, value)
        is_here = source is not None and (source.topic(), source.partition()) == (
            self._topic,
            partition,
        )
        if source is not None and is_here:
            return source.offset() or 0, first.time_ms
        time_ms = min(first.time_ms, _occurred_ms(value)) if source is None else _time_ms(source)
        with self._ranges.reading(_TIMEOUT_S) as reading:
            return reading.end_before(partition, time_ms) - 1, first.time_ms

    def _first(
        self, dead_letters: DeadLetterReader, dead_letter: DeadLetter, value: bytes | None
    ) -> tuple[DeadLetter, Message | None]:
        """Return the dead letter before all retries, with its record where the log has that."""
        for _ in range(_MOST_RETRIES):
            source = self._source(dead_letter, value)
            origin = None if source is None else _retried_from(source)
            if origin is None:
                return dead_letter, source
            before = _dead_letter_at(dead_letters, origin, value)
            if before is None:
                break
            dead_letter = before
        return dead_letter, None

    def _source(self, dead_letter: DeadLetter, value: bytes | None) -> Message | None:
        headers = dead_letter.headers
        topic = headers.get("source-topic", "")
        partition = whole_number(headers.get("source-partition", ""), 2**31 - 1)
        offset = whole_number(headers.get("source-offset", ""))
        if partition is None or offset is None or not topic:
            return None
        with LogReader(self._kafka, topic).reading(_TIMEOUT_S) as reading:
            found = reading.fetch(partition, offset)
        return found if found is not None and found.value() == value else None

    # --- what the tables say

    async def state(self, key: str, partition: int, offset: int) -> KeyState:
        """Return the state of a key in the tables, with the jobs around the offset.

        Raises:
            StoreUnavailableError: Postgres doesn't answer.
            LogUnavailableError: Kafka doesn't.
        """
        await self._job_log.catch_up()  # every job whose rows are in the log is known then
        parameters = {"key": key, "partition": partition, "offset": offset}
        work = partial(read_key_state, parameters=parameters, reconciliation_key=self._key)
        return await self._database.read(work, {"schema": PUBLIC})

    # --- what the log says

    def find_change(
        self,
        dead_letters: DeadLetterReader,
        dead_letter: Retriable,
        partition: int,
        state: KeyState,
    ) -> Checked:
        """Find the last change of the key after the dead letter; blocks.

        Raises:
            ReadTimeoutError, LogUnavailableError: Kafka did not give all of it in time.
            RegistryUnreachableError: a schema can't be had now.
        """
        user_id = state.holder and state.holder.user_id
        changes = LaterChanges(dead_letter, user_id, self._job_log.ledger.offset_of, state.rules)
        if state.last_job_id is not None and state.opened_offset is None:
            changes.begin_behind(state.last_job_id)
        begin = dead_letter.offset + 1 if state.opened_offset is None else state.opened_offset
        with self._ranges.reading(_TIMEOUT_S) as reading:
            end = reading.end(partition)
            last = self._change_in_tables(reading, dead_letter, partition, state.changed_at)
            if last is None:
                log_range = LogRange(partition, begin, end - 1)
                self._read(reading, dead_letters, log_range, changes)
                last = changes.last
        return Checked(dead_letter, partition, state, changes, end, last)

    def overtaken(
        self, dead_letters: DeadLetterReader, checked: Checked, offset: int
    ) -> Change | None:
        """Return what changed the key between the check and the retry at this offset; blocks.

        Raises:
            As :meth:`find_change`.
        """
        if offset <= checked.end:
            return None
        log_range = LogRange(checked.partition, checked.end, offset - 1)
        with self._ranges.reading(_TIMEOUT_S) as reading:
            self._read(reading, dead_letters, log_range, checked.changes)
        return checked.changes.last

    def _change_in_tables(
        self, reading: LogReading, dead_letter: Retriable, partition: int, changed_at: int | None
    ) -> Change | None:
        """Return the last change of the holder, unless it is a retry of a dead letter."""
        if changed_at is None or changed_at <= dead_letter.offset:
            return None
        message = reading.fetch(partition, changed_at)
        if message is None or _retried_from(message) or dead_letter.value == message.value():
            return None
        event = self._decoded(message)
        return Change(changed_at, _time_ms(message), event) if isinstance(event, UserRow) else None

    def _read(
        self,
        reading: LogReading,
        dead_letters: DeadLetterReader,
        log_range: LogRange,
        changes: LaterChanges,
    ) -> None:
        others = _OtherDeadLetters(self, dead_letters, changes.dead_letter, log_range.partition)
        keys = self._job_log.ledger.keys_with(changes.dead_letter.key)
        for messages in reading.batches(log_range):
            for message in messages:
                if message.key() not in keys or (event := self._decoded(message)) is None:
                    continue
                if not others.is_no_change(message, event):
                    changes.apply(message.offset() or 0, _time_ms(message), event)

    def _decoded(self, message: Message) -> Event | None:
        return self._job_log.schemas.decode_or_none(message.value())


class _OtherDeadLetters:
    """Decides which producer rows after a dead letter are dead letters themselves."""

    def __init__(
        self,
        check: RetryCheck,
        dead_letters: DeadLetterReader,
        dead_letter: Retriable,
        partition: int,
    ) -> None:
        self._check = check
        self._dead_letters = dead_letters
        self._dead_letter = dead_letter
        self._partition = partition
        self._dead: list[DeadLetter] | None = None

    def is_no_change(self, message: Message, event: Event) -> bool:
        """True where it is the same event again, no newer dead letter's, or dead itself."""
        dead_letter = self._dead_letter
        is_row = isinstance(event, UserRow) and event.job_id is None
        if not is_row or (message.offset() or 0) <= dead_letter.offset:
            return False
        return (
            message.value() == dead_letter.value
            or self._is_older(message)
            or self._is_dead(message)
        )

    def _is_older(self, message: Message) -> bool:
        origin = _retried_from(message)
        other = origin and _dead_letter_at(self._dead_letters, origin, message.value())
        if not other:
            return False
        value = message.value()
        position, _ = self._check.position(self._dead_letters, other, value, self._partition)
        return position <= self._dead_letter.offset

    def _is_dead(self, message: Message) -> bool:
        """True where the record became a dead letter; of an earlier log, its value decides."""
        if self._dead is None:
            self._dead = list(self._of_key())
        place = (str(message.partition()), str(message.offset()))
        for dead in self._dead:
            headers = dead.headers
            if headers.get("source-topic") != message.topic():
                found = dead.value_bytes == len(message) and self._dead_letters.fetch(
                    dead.partition, dead.offset
                )
                if found and found[1] == message.value():
                    return True
            elif (
                message.topic(),
                headers.get("source-partition"),
                headers.get("source-offset"),
            ) == place:
                return True
        return False

    def _of_key(self) -> Iterator[DeadLetter]:
        """Yield the dead letters with this key since this one; the clocks may differ."""
        key, since_ms = self._dead_letter.key.encode(), self._dead_letter.dead_since_ms - _CLOCKS_MS
        for dead_letter in takewhile(
            lambda each: each.time_ms >= since_ms, self._dead_letters.newest_first()
        ):
            if dead_letter.key == key:
                yield dead_letter


def _retried_from(message: Message) -> tuple[str, int, int] | None:
    """Return the topic, partition and offset of the dead letter that was retried, if any."""
    headers = headers_of(message)
    text = dict(headers).get(RETRIED_FROM)
    if text is None:
        return None
    topic, _, place = text.decode(errors="replace").partition("/")
    partition, _, offset = place.partition("/")
    return topic, whole_number(partition, 2**31 - 1) or 0, whole_number(offset) or 0


def _dead_letter_at(
    dead_letters: DeadLetterReader, origin: tuple[str, int, int], value: bytes | None
) -> DeadLetter | None:
    """Return the dead letter at this place; None where it is gone, as after a move of the log."""
    topic, partition, offset = origin
    found = dead_letters.fetch(partition, offset) if topic == dead_letters.topic else None
    return found[0] if found is not None and found[1] == value else None


def _time_ms(message: Message) -> int:
    return message.timestamp()[1]


def _occurred_ms(value: bytes | None) -> int:
    """Return when the event happened; now where nothing says it."""
    try:
        event = decode(value)
    except UndecodableError:
        event = None
    at = event.occurred_at if isinstance(event, UserRow) else datetime.now(UTC)
    return int(at.timestamp() * 1000)
