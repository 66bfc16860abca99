"""List, show and retry dead letters.

A retry appends the record as it came, key and value, to the end of
`user-events`, so the projection decides anew: it may be applied now because an
attribute was defined, a user was made, or a processor knows its schema.
What still can't be applied becomes another dead letter.
A retry never turns back time: where the key was changed after the dead letter, it is refused
unless the caller says otherwise (:mod:`ingest_api.producers.later_changes`).
A record of a job is never retried: all rows of an accepted job come again by
its own pass, so outside of it they are repeats or forged.
A dead letter from before the log was moved goes to the log as it is now, where its key
belongs; unless that log has another reconciliation key, because then the record's
key is nobody's, or somebody else's.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Final, TypeVar

import structlog

from ingest_api.errors import (
    ConflictError,
    LogUnavailableError,
    NotFoundError,
    ReadTimeoutError,
    RecordTooLargeError,
    UnavailableError,
)
from ingest_api.event_log.user_events import NOTHING_KEPT, NotAppendedError
from ingest_api.kafka.reading_threads import ReadingThreads
from ingest_api.producers.dead_letter_views import (
    DeadLetterPage,
    dead_letter_view,
    whole_dead_letter_view,
)
from ingest_api.producers.later_changes import Retriable
from ingest_api.producers.retry_check import RETRIED_FROM
from ingest_api.producers.retry_rules import (
    NOT_RETRIED,
    changes_of,
    check_key,
    dead_letter_place,
    moved_partition,
    not_retried,
    retried_key,
    retry_partition,
)
from schemas.clients.errors import RecordsGoneError
from schemas.codec.registry_protocol import RegistryUnreachableError
from schemas.log.dead_letters import LEFT_OUT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ingest_api.event_log.user_events import UserLog
    from ingest_api.kafka.earlier_logs import EarlierLogs
    from ingest_api.producers.dead_letter_retries import DeadLetterRetries
    from ingest_api.producers.dead_letter_topic import DeadLetter, DeadLetterReader, DeadLetterTopic
    from ingest_api.producers.dead_letter_views import WholeDeadLetter
    from ingest_api.producers.later_changes import Change, Changes
    from ingest_api.producers.retry_check import Checked, RetryCheck
    from ingest_api.web.paging import Page

UNKNOWN_DEAD_LETTER: Final = "There is no dead letter with this ID"
RETRIED: Final = "The dead letter was retried"
ALREADY_RETRIED: Final = "The dead letter was retried before"
KEY_CHANGED: Final = f"{NOT_RETRIED}: its key was changed after it"
NOT_CHECKED: Final = (
    "The log behind the dead letter was not read in time, so it is not known whether its key was"
    " changed since: nothing was kept, try again, or say overNewer=true to retry it all the same"
)
NOT_READ: Final = "The dead letters were not read in time, try again"
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
    """The place to which a dead letter's record went.

    ``overtaken`` is what changed its key between the check and the append.
    """

    dead_letter: DeadLetter
    partition: int
    offset: int
    overtaken: Change | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryRequest:
    """Who retries; ``again``, ``over_newer``: also what was retried before, or is outdated."""

    by: str
    again: bool = False
    over_newer: bool = False


class KeyChangedError(ConflictError):
    """A letter's key was changed after it; ``changes`` are what its retry would set, by field.

    ``changes`` is None where the dead letter's event can't be read here.
    """

    def __init__(self, checked: Checked, change: Change, changes: Changes | None) -> None:
        super().__init__(KEY_CHANGED)
        self.partition = checked.partition
        self.change = change
        self.changes = changes


class DeadLetters:
    """Reads and retries dead letters for one API process; a few read the topic at a time."""

    def __init__(
        self,
        topic: DeadLetterTopic,
        retries: DeadLetterRetries,
        user_log: UserLog,
        earlier_logs: EarlierLogs,
        check: RetryCheck,
    ) -> None:
        self._check = check
        self._topic = topic
        self._retries = retries
        self._user_log = user_log
        self._earlier_logs = earlier_logs
        self._threads = ReadingThreads(
            "dead-letters",
            at_once=_THREADS,
            most=_MOST_WAITING,
            refusal="Too many requests look at the dead letters, try again",
        )
        self._retrying: set[asyncio.Task[Retry]] = set()

    def close(self) -> None:
        """Accept no more requests, and end those under way."""
        self._topic.close()
        self._check.close()
        self._threads.close()

    async def select_page(self, letter_filter: DeadLetterFilter, page: Page) -> DeadLetterPage:
        """Return a page of the dead letters that fit the filter, the newest first.

        Raises:
            UnavailableError: it took too long.
        """
        result = await self._in_thread(lambda reader: _page(reader, letter_filter, page))
        attempts = await self._retries.select(result.dead_letters)
        views = [
            dead_letter_view(each, attempts.get(each.place, [])) for each in result.dead_letters
        ]
        return DeadLetterPage(result.total, result.searched, result.all, views)

    async def fetch(self, letter_id: str) -> WholeDeadLetter:
        """Return one dead letter with its value and its attempts.

        Raises:
            NotFoundError: there is no such dead letter.
        """
        dead_letter, value = await self._fetch(letter_id)
        attempts = await self._retries.select([dead_letter])
        return whole_dead_letter_view(dead_letter, value, attempts.get(dead_letter.place, []))

    async def retry(self, letter_id: str, request: RetryRequest) -> Retry:
        """Send a dead letter's record to the log once more; it is there on return.

        Raises:
            NotFoundError: there is no such dead letter.
            KeyChangedError: the key was changed after it, and ``over_newer`` is not said.
            ConflictError: it is a job's record, no record of `user-events`, of a log with another
                key, or was retried before and ``again`` is not set.
            UnavailableError: Kafka or Postgres doesn't answer.
        """
        # A client that goes away must not leave open what became of its retry.
        task = asyncio.create_task(self._retry(letter_id, request))
        self._retrying.add(task)
        task.add_done_callback(self._retrying.discard)
        return await asyncio.shield(task)

    async def _retry(self, letter_id: str, request: RetryRequest) -> Retry:
        dead_letter, value = await self._fetch(letter_id)
        partition = await self._partition(dead_letter, value)
        await self._user_log.check()
        attempt = await self._next_attempt(dead_letter, request)
        checked = None
        if not request.over_newer and (key := retried_key(dead_letter, value)) is not None:
            checked = await self._checked(dead_letter, value, key, partition)
        await self._claim(dead_letter, attempt, request.by, partition)
        offset = await self._append(dead_letter, value, partition, attempt)
        await self._retries.note_arrival(dead_letter, attempt, offset)
        _log.info(
            "dead letter retried",
            by=request.by, dead_letter=letter_id, partition=partition, offset=offset,
        )  # fmt: skip
        return Retry(dead_letter, partition, offset, await self._overtaken(checked, offset))

    async def _checked(
        self, dead_letter: DeadLetter, value: bytes | None, key: str, partition: int
    ) -> Checked:
        check = self._check
        try:
            position, since_ms = await self._in_thread(
                lambda reader: check.position(reader, dead_letter, value, partition),
                too_late=NOT_CHECKED,
            )
            retriable = Retriable(key, value, since_ms, position)
            state = await check.state(key, partition, position)
            checked = await self._in_thread(
                lambda reader: check.find_change(reader, retriable, partition, state),
                too_late=NOT_CHECKED,
            )
        except RecordsGoneError:
            raise UnavailableError(NOT_CHECKED) from None
        except RegistryUnreachableError as error:
            message = f"The schema registry can't be reached, try again: {error}"
            raise UnavailableError(message) from None
        if checked.last is not None:
            raise KeyChangedError(checked, checked.last, changes_of(value, state))
        return checked

    async def _overtaken(self, checked: Checked | None, offset: int) -> Change | None:
        if checked is None or offset <= checked.end:
            return None
        check = self._check
        return await self._in_thread(lambda reader: check.overtaken(reader, checked, offset))

    async def _partition(self, dead_letter: DeadLetter, value: bytes | None) -> int:
        if left_out := dead_letter.headers.get(LEFT_OUT):
            raise not_retried(
                f"it was too large to be kept here whole ({left_out}): it stands where it was"
            )
        log, earlier = self._user_log, self._earlier_logs
        version = earlier.version_of(dead_letter.headers.get("source-topic", ""))
        if version is None:
            return retry_partition(dead_letter, value, log.topic, log.partitions)
        key_of_log = await asyncio.to_thread(earlier.fetch_key, version)
        check_key(key_of_log, earlier.reconciliation_key)
        return moved_partition(dead_letter, value, log.partitions)

    async def _next_attempt(self, dead_letter: DeadLetter, request: RetryRequest) -> int:
        earlier = (await self._retries.select([dead_letter])).get(dead_letter.place, [])
        if earlier and not request.again:
            last = earlier[-1]
            where = "?" if last["to_offset"] is None else last["to_offset"]
            raise ConflictError(
                f"{ALREADY_RETRIED}, by {last['retried_by']}, to partition"
                f" {last['to_partition']}, offset {where}: say again=true to retry it once more",
            )
        return len(earlier) + 1

    async def _claim(self, dead_letter: DeadLetter, attempt: int, by: str, partition: int) -> None:
        if not await self._retries.claim(dead_letter, attempt, by, partition):
            raise ConflictError(f"{ALREADY_RETRIED}, by somebody else, at this moment")

    async def _append(
        self, dead_letter: DeadLetter, value: bytes | None, partition: int, attempt: int
    ) -> int:
        origin = f"{self._topic.topic}/{dead_letter.partition}/{dead_letter.offset}"
        headers = [(RETRIED_FROM, origin.encode())]
        try:
            return await self._user_log.append_again(dead_letter.key, value, partition, headers)
        except RecordTooLargeError:
            await self._retries.release(dead_letter, attempt)
            raise not_retried(f"{self._user_log.topic} takes no record so large") from None
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

    async def _in_thread(
        self, read: Callable[[DeadLetterReader], _T], *, too_late: str = NOT_READ
    ) -> _T:
        try:
            return await self._threads.run(self._read, read)
        except ReadTimeoutError:
            raise UnavailableError(too_late) from None

    def _read(self, read: Callable[[DeadLetterReader], _T]) -> _T:
        with self._topic.open_reader(_TIMEOUT_S) as reader:
            return read(reader)


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
    except ReadTimeoutError:
        return
