"""Finds what changed a letter's key behind it: in the tables, and in the log itself.

The tables say who has the key now; what came since, and deletes, only the log knows:
it is read from where the letter stood up to its end.
So the answer holds for the log as it was at one moment.  An event that comes between that
moment and the append of the retry is older than the retry, which goes over it; nothing
here can prevent that, because Kafka appends without a condition.
:meth:`RetryCheck.overtaken` finds it afterwards, so that whoever retries is told.

Where a letter stood is said by the log as well: a record that was retried before is as
old as the letter it came from, whose own record may have been a retry.
Between partitions, and between versions of the log, places are compared by the records'
times, which their producers set: of a letter whose record is gone, by when the event
happened, if that is earlier than when the letter came to be.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from itertools import takewhile
from typing import TYPE_CHECKING, Any, Final, cast

from ingest_api.event_log.user_fold import Rules
from ingest_api.kafka.range_reader import LogRange, RangeReader
from ingest_api.postgres.pool import PUBLIC
from ingest_api.producers.later_changes import Change, Holder, LaterChanges
from ingest_api.web.parameters import whole_number
from schemas.codec.codec import UndecodableError, decode
from schemas.events import UserRow
from schemas.log.positions import place_of as log_place_of
from schemas.read_model.tables import USER_COLUMNS
from schemas.rules.attributes import attribute_field

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from confluent_kafka import Message

    from ingest_api.event_log.job_events import JobLog
    from ingest_api.event_log.user_fold import PlaceOf
    from ingest_api.kafka.range_reader import RangeReading
    from ingest_api.postgres.pool import Database, Snapshot
    from ingest_api.producers.dead_letter_topic import DeadLetter, DeadLetterReader
    from ingest_api.producers.later_changes import Retriable
    from schemas.config.settings import Settings
    from schemas.events import Event

RETRIED_FROM: Final = "retried-from"
"""Header of a record that was retried: topic, partition and offset of the letter."""
_TIMEOUT_S: Final = 20.0
_MOST_RETRIES: Final = 100
_CLOCKS_MS: Final = 60_000


@dataclass(frozen=True, slots=True)
class KeyState:
    """What the tables say of a letter's key, and of the jobs where the letter stood.

    ``changed_at`` is the offset of the event that last changed the holder, or made it;
    ``last_job_id`` the last job that began before the letter, open from ``opened_offset`` on
    unless that is None.
    """

    rules: Rules
    holder: Holder | None = None
    changed_at: int | None = None
    last_job_id: int | None = None
    opened_offset: int | None = None


@dataclass(frozen=True, slots=True)
class Checked:
    """A letter whose key was looked at up to ``end`` of the partition that it goes to."""

    letter: Retriable
    partition: int
    state: KeyState
    changes: LaterChanges
    end: int
    last: Change | None


class RetryCheck:
    """For one API process; what blocks is for a thread that may wait."""

    def __init__(self, settings: Settings, database: Database, job_log: JobLog) -> None:
        self._key = settings.reconciliation_key
        self._database = database
        self._job_log = job_log
        self._kafka = settings.kafka
        self._topic = settings.topics.user_events.name
        self._ranges = RangeReader(self._kafka, self._topic)

    def close(self) -> None:
        """End what is being read, as if it had taken too long."""
        self._ranges.close()

    # --- where a letter stood

    def position(
        self, letters: DeadLetterReader, letter: DeadLetter, value: bytes | None, partition: int
    ) -> tuple[int, int]:
        """The offset of this partition up to which all is older than the letter; blocks.

        With it, when the letter that it was before all retries came to be.

        Raises:
            ReadTimeoutError, LogUnavailableError: Kafka did not say it in time.
        """
        first, source = self._first(letters, letter, value)
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
        self, letters: DeadLetterReader, letter: DeadLetter, value: bytes | None
    ) -> tuple[DeadLetter, Message | None]:
        """The letter that it was before all retries, with its record where the log has that."""
        for _ in range(_MOST_RETRIES):
            source = self._source(letter, value)
            origin = None if source is None else _retried_from(source)
            if origin is None:
                return letter, source
            before = _letter_at(letters, origin, value)
            if before is None:
                break
            letter = before
        return letter, None

    def _source(self, letter: DeadLetter, value: bytes | None) -> Message | None:
        said = letter.headers
        topic = said.get("source-topic", "")
        partition = whole_number(said.get("source-partition", ""), 2**31 - 1)
        offset = whole_number(said.get("source-offset", ""))
        if partition is None or offset is None or not topic:
            return None
        with RangeReader(self._kafka, topic).reading(_TIMEOUT_S) as reading:
            found = reading.fetch(partition, offset)
        return found if found is not None and found.value() == value else None

    # --- what the tables say

    async def state(self, key: str, partition: int, offset: int) -> KeyState:
        """What the tables say of a key in the partition, and of the jobs around the offset.

        Raises:
            StoreUnavailableError: Postgres doesn't answer.
            LogUnavailableError: Kafka doesn't.
        """
        await self._job_log.catch_up()  # every job whose rows are in the log is known then
        wanted = {"key": key, "partition": partition, "offset": offset}
        work = partial(_state, wanted=wanted, reconciliation_key=self._key)
        return await self._database.read(work, {"schema": PUBLIC})

    # --- what the log says

    def look(
        self, letters: DeadLetterReader, letter: Retriable, partition: int, state: KeyState
    ) -> Checked:
        """The last change behind the letter; blocks.

        Raises:
            ReadTimeoutError, LogUnavailableError: Kafka did not give all of it in time.
            RegistryUnreachableError: a schema can't be had now.
        """
        user_id = state.holder and state.holder.user_id
        changes = LaterChanges(letter, user_id, self._place_of, state.rules)
        if state.last_job_id is not None and state.opened_offset is None:
            changes.begin_behind(state.last_job_id)
        begin = letter.offset + 1 if state.opened_offset is None else state.opened_offset
        with self._ranges.reading(_TIMEOUT_S) as reading:
            end = reading.end(partition)
            last = self._told_by_tables(reading, letter, partition, state.changed_at)
            if last is None:
                log_range = LogRange(partition, begin, end - 1)
                self._read(reading, letters, log_range, changes)
                last = changes.last
        return Checked(letter, partition, state, changes, end, last)

    def overtaken(self, letters: DeadLetterReader, checked: Checked, offset: int) -> Change | None:
        """What changed the key after the check and before the retry at this offset; blocks.

        Raises:
            As :meth:`look`.
        """
        if offset <= checked.end:
            return None
        log_range = LogRange(checked.partition, checked.end, offset - 1)
        with self._ranges.reading(_TIMEOUT_S) as reading:
            self._read(reading, letters, log_range, checked.changes)
        return checked.changes.last

    def _told_by_tables(
        self, reading: RangeReading, letter: Retriable, partition: int, changed_at: int | None
    ) -> Change | None:
        """The last change of the holder, unless it is a letter's that was retried."""
        if changed_at is None or changed_at <= letter.offset:
            return None
        message = reading.fetch(partition, changed_at)
        if message is None or _retried_from(message) or letter.value == message.value():
            return None
        event = self._decoded(message)
        return Change(changed_at, _time_ms(message), event) if isinstance(event, UserRow) else None

    def _read(
        self,
        reading: RangeReading,
        letters: DeadLetterReader,
        log_range: LogRange,
        changes: LaterChanges,
    ) -> None:
        others = _Others(self, letters, changes.letter, log_range.partition)
        # The brackets of jobs are keyed by the job's id.
        keys = {str(job.accepted.job_id).encode() for job in self._job_log.ledger.jobs}
        keys.add(changes.letter.key.encode())
        for messages in reading.batches(log_range):
            for message in messages:
                if message.key() not in keys or (event := self._decoded(message)) is None:
                    continue
                if not others.is_no_change(message, event):
                    changes.apply(message.offset() or 0, _time_ms(message), event)

    def _decoded(self, message: Message) -> Event | None:
        return self._job_log.schemas.decode_or_none(message.value())

    @property
    def _place_of(self) -> PlaceOf:
        ledger = self._job_log.ledger

        def place_of(job_id: int) -> int | None:
            job = ledger.job(job_id)
            return None if job is None else job.offset

        return place_of


class _Others:
    """Tells which records of other producers, behind a letter, are letters themselves."""

    def __init__(
        self, check: RetryCheck, letters: DeadLetterReader, letter: Retriable, partition: int
    ) -> None:
        self._check = check
        self._letters = letters
        self._letter = letter
        self._partition = partition
        self._dead: list[DeadLetter] | None = None

    def is_no_change(self, message: Message, event: Event) -> bool:
        """Whether it is the letter's event again, another letter's no newer one, or dead."""
        letter = self._letter
        is_row = isinstance(event, UserRow) and event.job_id is None
        if not is_row or (message.offset() or 0) <= letter.offset:
            return False
        return message.value() == letter.value or self._is_older(message) or self._is_dead(message)

    def _is_older(self, message: Message) -> bool:
        origin = _retried_from(message)
        other = origin and _letter_at(self._letters, origin, message.value())
        if not other:
            return False
        value = message.value()
        position, _ = self._check.position(self._letters, other, value, self._partition)
        return position <= self._letter.offset

    def _is_dead(self, message: Message) -> bool:
        """Whether the record became a letter; of a log that was left, its value tells."""
        if self._dead is None:
            self._dead = list(self._of_key())
        place = (str(message.partition()), str(message.offset()))
        for dead in self._dead:
            said = dead.headers
            if said.get("source-topic") != message.topic():
                found = dead.value_bytes == len(message) and self._letters.fetch(
                    dead.partition, dead.offset
                )
                if found and found[1] == message.value():
                    return True
            elif (
                message.topic(),
                said.get("source-partition"),
                said.get("source-offset"),
            ) == place:
                return True
        return False

    def _of_key(self) -> Iterator[DeadLetter]:
        """The letters with this key that came to be after this one; the clocks may differ."""
        key, since_ms = self._letter.key.encode(), self._letter.dead_since_ms - _CLOCKS_MS
        for letter in takewhile(
            lambda each: each.time_ms >= since_ms, self._letters.newest_first()
        ):
            if letter.key == key:
                yield letter


_SELECT_REVERTED: Final = """
SELECT reverted_job_ids FROM {schema}.projection_instance WHERE state = 'active'
"""
_SELECT_TYPES: Final = """
SELECT name, type FROM {schema}.attributes
"""
_SELECT_GENERATION: Final = """
SELECT generation FROM {schema}.user_leaves WHERE generation IS NOT NULL LIMIT 1
"""
_SELECT_HOLDER: Final = """
SELECT id, first_name, last_name, email, mobile_number, country, state, last_active_date,
       sms_subscription, email_subscription, voice_subscription, attributes, modified_position
FROM {schema}.user_leaf_rows
WHERE generation = %(generation)s AND partition = %(partition)s AND key = %(key)s
"""
_SELECT_LAST_JOB: Final = """
SELECT job_id, opened_offset, sealed_offset FROM {schema}.job_partitions
WHERE partition = %(partition)s AND opened_offset <= %(offset)s
ORDER BY opened_offset DESC LIMIT 1
"""


async def _state(
    snapshot: Snapshot, *, wanted: Mapping[str, Any], reconciliation_key: str
) -> KeyState:
    types = {row["name"]: row["type"] for row in await snapshot.select(_SELECT_TYPES)}
    reverted = await snapshot.select(_SELECT_REVERTED)
    generations = await snapshot.select(_SELECT_GENERATION)
    users = await snapshot.select(_SELECT_HOLDER, {**wanted, **(generations or [{}])[0]})
    jobs = await snapshot.select(_SELECT_LAST_JOB, wanted)
    user, job = (users or [None])[0], (jobs or [None])[0]
    is_open = job is not None and (job["sealed_offset"] or wanted["offset"] + 1) > wanted["offset"]
    left_out = reverted[0]["reverted_job_ids"] if reverted else None
    return KeyState(
        rules=Rules.of(reconciliation_key, types, left_out or ()),
        holder=Holder(user["id"], _values(user)) if user else None,
        changed_at=log_place_of(user["modified_position"] or user["id"])[1] if user else None,
        last_job_id=job["job_id"] if job else None,
        opened_offset=job["opened_offset"] if job and is_open else None,
    )


def _values(user: Mapping[str, Any]) -> dict[str, Any]:
    values: dict[str, Any] = {name: user[name] for name in USER_COLUMNS if name != "attributes"}
    values |= {
        attribute_field(name, "string").name: value for name, value in user["attributes"].items()
    }
    return {name: value for name, value in values.items() if value is not None}


def _retried_from(message: Message) -> tuple[str, int, int] | None:
    """Which letter the record was, by topic, partition and offset; None where it was none."""
    headers = cast("list[tuple[str, bytes | None]]", message.headers() or [])
    text = dict(headers).get(RETRIED_FROM)
    if text is None:
        return None
    topic, _, place = text.decode(errors="replace").partition("/")
    partition, _, offset = place.partition("/")
    return topic, whole_number(partition, 2**31 - 1) or 0, whole_number(offset) or 0


def _letter_at(
    letters: DeadLetterReader, origin: tuple[str, int, int], value: bytes | None
) -> DeadLetter | None:
    """The letter at this place; None where it isn't there any more, as after a move of the log."""
    topic, partition, offset = origin
    found = letters.fetch(partition, offset) if topic == letters.topic else None
    return found[0] if found is not None and found[1] == value else None


def _time_ms(message: Message) -> int:
    return message.timestamp()[1]


def _occurred_ms(value: bytes | None) -> int:
    """When the event happened; now where nothing says it."""
    try:
        event = decode(value)
    except UndecodableError:
        event = None
    at = event.occurred_at if isinstance(event, UserRow) else datetime.now(UTC)
    return int(at.timestamp() * 1000)
