"""List, show and retry dead letters.

A retry appends the record as it came, key and value, to the end of
`user-events`, so the projection decides anew: it may be applied now because an
attribute was defined, a user was made, or a processor knows its schema.
What still can't be applied becomes another dead letter.
A record of a job is never retried: all rows of an accepted job come again by
its own pass, so outside of it they are repeats or forged.
A dead letter from before the log was moved goes to the log as it is now, where its key
belongs; unless that log has another reconciliation key, because then the record's
key is nobody's, or somebody else's.
"""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Final, TypeVar

import structlog

from ingest_api.errors import (
    ConflictError,
    LogUnavailableError,
    NotFoundError,
    RecordTooLargeError,
    UnavailableError,
)
from ingest_api.event_log.user_events import NOTHING_KEPT, NotAppendedError
from ingest_api.kafka.topic_setup import TopicSetupError
from ingest_api.producers.dead_letter_retries import place_of
from ingest_api.producers.dead_letter_topic import SearchEndedError
from ingest_api.producers.dead_letter_views import (
    DeadLetterPage,
    dead_letter_view,
    whole_dead_letter_view,
)
from ingest_api.web.parameters import whole_number
from schemas.codec.codec import UndecodableError, decode
from schemas.events import UserRow
from schemas.log.dead_letters import LEFT_OUT
from schemas.log.topics import partition_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ingest_api.event_log.user_events import UserLog
    from ingest_api.kafka.earlier_logs import EarlierLogs
    from ingest_api.producers.dead_letter_retries import DeadLetterRetries
    from ingest_api.producers.dead_letter_topic import DeadLetter, DeadLetterReader, DeadLetterTopic
    from ingest_api.producers.dead_letter_views import WholeDeadLetter
    from ingest_api.web.paging import Page

UNKNOWN_DEAD_LETTER: Final = "There is no dead letter with this ID"
RETRIED: Final = "The dead letter was retried"
ALREADY_RETRIED: Final = "The dead letter was retried before"
NOT_RETRIED: Final = "The dead letter can't be retried"
IN_DOUBT: Final = (
    "Kafka did not confirm the record in time, so it is not known whether it came into the log:"
    " where it did, the same retry again (again=true) is a repeat if the event has an event_id"
)
_THREADS: Final = 2
_MOST_WAITING: Final = 16
_TIMEOUT_S: Final = 15.0
_SEARCH_S: Final = 10.0
_log = structlog.stdlib.get_logger("rollcall.api")
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class DeadLetterFilter:
    """A filter by reason and source partition; None fits any."""

    reason: str | None = None
    source_partition: int | None = None

    @property
    def takes_all(self) -> bool:
        """True where every dead letter fits."""
        return self.reason is None and self.source_partition is None

    def takes(self, dead_letter: DeadLetter) -> bool:
        """Return whether the dead letter fits."""
        return (self.reason is None or dead_letter.headers.get("reason") == self.reason) and (
            self.source_partition is None
            or dead_letter.headers.get("source-partition") == str(self.source_partition)
        )


@dataclass(frozen=True, slots=True)
class SearchResult:
    """A page of dead letters, with the counts of those that fit, were searched, and are there."""

    dead_letters: list[DeadLetter]
    total: int
    searched: int
    all: int


@dataclass(frozen=True, slots=True)
class Retry:
    """A retried dead letter, and where its record is in `user-events`."""

    dead_letter: DeadLetter
    partition: int
    offset: int


class DeadLetters:
    """Reads and retries dead letters for one API process; a few read the topic at a time."""

    def __init__(
        self,
        topic: DeadLetterTopic,
        retries: DeadLetterRetries,
        user_log: UserLog,
        earlier_logs: EarlierLogs,
    ) -> None:
        self._topic = topic
        self._retries = retries
        self._user_log = user_log
        self._earlier_logs = earlier_logs
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="dead-letters")
        self._waiting = 0
        self._retrying: set[asyncio.Task[Retry]] = set()

    def close(self) -> None:
        """Accept no more requests, and end those under way."""
        self._topic.close()
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def select_page(self, letter_filter: DeadLetterFilter, page: Page) -> DeadLetterPage:
        """Return a page of the dead letters that fit the filter, the newest first.

        Raises:
            UnavailableError: it took too long.
        """
        result = await self._in_thread(lambda reader: _page(reader, letter_filter, page))
        attempts = await self._retries.select(result.dead_letters)
        views = [
            dead_letter_view(each, attempts.get(place_of(each), [])) for each in result.dead_letters
        ]
        return DeadLetterPage(result.total, result.searched, result.all, views)

    async def fetch(self, letter_id: str) -> WholeDeadLetter:
        """Return one dead letter with its value and its attempts.

        Raises:
            NotFoundError: there is no such dead letter.
        """
        dead_letter, value = await self._fetch(letter_id)
        attempts = await self._retries.select([dead_letter])
        return whole_dead_letter_view(dead_letter, value, attempts.get(place_of(dead_letter), []))

    async def retry(self, letter_id: str, *, by: str, again: bool) -> Retry:
        """Append a dead letter's record to the log once more; return once it is there.

        Raises:
            NotFoundError: there is no such dead letter.
            ConflictError: it is a job's record, no record of `user-events`, of a log with another
                key, or was retried before and ``again`` is not set.
            UnavailableError: Kafka or Postgres doesn't answer.
        """
        # Shielded: where the client goes away, the outcome of its retry is stored all the same.
        task = asyncio.create_task(self._retry(letter_id, by, again=again))
        self._retrying.add(task)
        task.add_done_callback(self._retrying.discard)
        return await asyncio.shield(task)

    async def _retry(self, letter_id: str, by: str, *, again: bool) -> Retry:
        dead_letter, value = await self._fetch(letter_id)
        partition = await self._partition(dead_letter, value)
        await self._user_log.check()
        attempt = await self._claim(dead_letter, by, partition, again=again)
        offset = await self._append(dead_letter, value, partition, attempt)
        await self._retries.note_arrival(dead_letter, attempt, offset)
        _log.info(
            "dead letter retried", by=by, letter=letter_id, partition=partition, offset=offset
        )
        return Retry(dead_letter, partition, offset)

    async def _partition(self, dead_letter: DeadLetter, value: bytes | None) -> int:
        if left_out := dead_letter.headers.get(LEFT_OUT):
            raise _not_retried(
                f"it was too large to be kept here whole ({left_out}): it stands where it was"
            )
        log, earlier = self._user_log, self._earlier_logs
        version = earlier.version_of(dead_letter.headers.get("source-topic", ""))
        if version is None:
            return retry_partition(dead_letter, value, log.topic, log.partitions)
        try:
            key_of_log = await asyncio.to_thread(earlier.fetch_key, version)
        except TopicSetupError as error:
            raise UnavailableError(str(error)) from None
        check_key(key_of_log, earlier.reconciliation_key)
        return moved_partition(dead_letter, value, log.partitions)

    async def _claim(self, dead_letter: DeadLetter, by: str, partition: int, *, again: bool) -> int:
        earlier = (await self._retries.select([dead_letter])).get(place_of(dead_letter), [])
        attempt = len(earlier) + 1
        if earlier and not again:
            last = earlier[-1]
            where = "?" if last["to_offset"] is None else last["to_offset"]
            raise ConflictError(
                f"{ALREADY_RETRIED}, by {last['retried_by']}, to partition"
                f" {last['to_partition']}, offset {where}: say again=true to retry it once more",
            )
        if not await self._retries.claim(dead_letter, attempt, by, partition):
            raise ConflictError(f"{ALREADY_RETRIED}, by somebody else, at this moment")
        return attempt

    async def _append(
        self, dead_letter: DeadLetter, value: bytes | None, partition: int, attempt: int
    ) -> int:
        origin = f"{self._topic.topic}/{dead_letter.partition}/{dead_letter.offset}"
        headers = [("retried-from", origin.encode())]
        try:
            return await self._user_log.append_again(dead_letter.key, value, partition, headers)
        except RecordTooLargeError:
            await self._retries.release(dead_letter, attempt)
            raise _not_retried(f"{self._user_log.topic} takes no record so large") from None
        except NotAppendedError:
            await self._retries.release(dead_letter, attempt)
            raise UnavailableError(NOTHING_KEPT) from None
        except LogUnavailableError:
            raise UnavailableError(IN_DOUBT) from None

    async def _fetch(self, letter_id: str) -> tuple[DeadLetter, bytes | None]:
        place = dead_letter_place(letter_id)
        result = place and await self._in_thread(lambda reader: reader.fetch(*place))
        if not result:
            raise NotFoundError(UNKNOWN_DEAD_LETTER)
        return result

    async def _in_thread(self, read: Callable[[DeadLetterReader], _T]) -> _T:
        if self._waiting >= _MOST_WAITING:
            raise UnavailableError("Too many requests look at the dead letters, try again")
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, self._read, read)
        except SearchEndedError:
            raise UnavailableError("The dead letters were not read in time, try again") from None
        finally:
            self._waiting -= 1

    def _read(self, read: Callable[[DeadLetterReader], _T]) -> _T:
        with self._topic.open_reader(_TIMEOUT_S) as reader:
            return read(reader)


def dead_letter_place(letter_id: str) -> tuple[int, int] | None:
    """Parse an id into partition and offset; None where it is no id."""
    partition, dash, offset = letter_id.partition("-")
    numbers = whole_number(partition, 2**31 - 1), whole_number(offset)
    if not dash or numbers[0] is None or numbers[1] is None:
        return None
    return numbers[0], numbers[1]


def retry_partition(
    dead_letter: DeadLetter, value: bytes | None, source_topic: str, partitions: int
) -> int:
    """Return the partition for a record: that of its key, else the one it was in.

    Raises:
        ConflictError: it may not be retried.
    """
    came_from = whole_number(dead_letter.headers.get("source-partition", ""), partitions - 1)
    if dead_letter.headers.get("source-topic") != source_topic or came_from is None:
        raise _not_retried(f"it does not say which partition of {source_topic} it was in")
    event = _retriable_row(value)
    if event is None:
        return came_from
    key = event.key.encode()
    return partition_of(key, partitions) if dead_letter.key == key else came_from


def moved_partition(dead_letter: DeadLetter, value: bytes | None, partitions: int) -> int:
    """Return the partition for a record from before the log was moved, whose own is no more.

    Raises:
        ConflictError: it may not be retried.
    """
    _retriable_row(value)
    if dead_letter.key is None:
        raise _not_retried(
            "the log was moved since, and without a key the record belongs to no partition of it"
        )
    return partition_of(dead_letter.key, partitions)


def check_key(key_of_log: str | None, key_now: str) -> None:
    """Return where the log that a dead letter comes from had the key that the log has now.

    Raises:
        ConflictError: it hadn't, or nobody knows.
    """
    if key_of_log is None:
        raise _not_retried(
            "it comes from a version of the log whose job-events is gone, so it is not known what"
            " its key means: send the event again"
        )
    if key_of_log != key_now:
        raise _not_retried(
            f"its key is of the log as it was, by {key_of_log}, and the log was moved to the key"
            f" {key_now} since: send the event again, with its user's {key_now} as the key"
        )


def _retriable_row(value: bytes | None) -> UserRow | None:
    """Return the row to retry; None where this process can't decode it.

    Raises:
        ConflictError: it may not be retried.
    """
    try:
        event = decode(value)
    except UndecodableError:
        return None
    job_id: int | None = getattr(event, "job_id", None)
    if job_id is not None:
        raise _not_retried(
            f"it names job {job_id}, whose records come again by the job's own pass only: outside"
            " of it this is a repeat, which changes nothing, or poison"
        )
    if not isinstance(event, UserRow):
        raise _not_retried(f"other producers send UserRow, and this is {type(event).__name__}")
    return event


def _not_retried(why: str) -> ConflictError:
    return ConflictError(f"{NOT_RETRIED}: {why}")


def _page(reader: DeadLetterReader, letter_filter: DeadLetterFilter, page: Page) -> SearchResult:
    if not letter_filter.takes_all:
        return search(reader, letter_filter, page)
    dead_letters: list[DeadLetter] = []
    if page.start < reader.total:
        dead_letters = list(islice(reader.newest_first(page.start), page.size))
    return SearchResult(dead_letters, reader.total, reader.total, reader.total)


def search(reader: DeadLetterReader, letter_filter: DeadLetterFilter, page: Page) -> SearchResult:
    """Read all dead letters for those that fit the filter, as far as the time allows."""
    dead_letters: list[DeadLetter] = []
    total = searched = 0
    for dead_letter in _until_time_is_over(reader):
        searched += 1
        if letter_filter.takes(dead_letter):
            total += 1
            if page.start < total <= page.start + page.size:
                dead_letters.append(dead_letter)
    return SearchResult(dead_letters, total, searched, reader.total)


def _until_time_is_over(reader: DeadLetterReader) -> Iterator[DeadLetter]:
    reader.end_after(_SEARCH_S)
    try:
        yield from reader.newest_first()
    except SearchEndedError:
        return
