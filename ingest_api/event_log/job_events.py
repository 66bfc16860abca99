"""Appends attempts at jobs to `job-events`, and waits until the log has decided whether they count.

An upload is answered from the log alone, read up to its own record; so every
instance of the API gives the same answer, and no database is asked.

An acknowledgement that does not come leaves open whether the record is in the
log, or still on its way there.
``JobVoided`` of the same attempt settles it: whichever of the two comes first
decides, for every reader and for ever (see :mod:`ingest_api.event_log.ledger`).
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from typing import TYPE_CHECKING, Final, Literal, cast

import structlog

from ingest_api.errors import LogMovedError, LogUnavailableError, UnavailableError
from ingest_api.event_log.ledger import JobLedger
from ingest_api.event_log.user_events import LOG_HELD
from ingest_api.kafka.producer import Appender, Record
from schemas.clients.errors import KafkaUnreachableError
from schemas.clients.event_schemas import OWN_SCHEMAS
from schemas.clients.ranges import RangeReader
from schemas.clients.topic_follower import FROM_FIRST, TopicFollower
from schemas.codec.codec import encode
from schemas.events import JobVoided
from schemas.log.digests import digest_headers
from schemas.log.storable import violation
from schemas.runtime.essential import EssentialThread
from schemas.runtime.tracing import TRACES

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ingest_api.event_log.ledger import Decision
    from schemas.clients.event_schemas import EventSchemas
    from schemas.clients.topic_follower import LoggedEvent
    from schemas.events import AttributeChanged, JobAccepted, PresetDefined
    from schemas.log.digests import Keyring
    from schemas.log.reverts import ChangeEvent, RevertDecision
    from schemas.log.topics import Topic

    _Attempt = JobAccepted | ChangeEvent

Acceptance = Literal["accepted", "same", "conflict", "voided", "unknown"]
"""A ledger's decision, or ``unknown`` where the log could not be read."""
RevertOutcome = Literal["counts", "changes nothing", "voided", "unknown"]
"""The same for an event that reverts or restores a job."""

_APPEND_TIMEOUT_S: Final = 4.0
_READ_TIMEOUT_S: Final = 4.0
_METADATA_TIMEOUT_S: Final = 2.0
_PAUSE_S: Final = 0.05
_POLL_S: Final = 0.5
_log = structlog.stdlib.get_logger("rollcall.api")


class JobLog:
    """Appends to `job-events` and follows it from its beginning in a thread of its own.

    Its methods belong to one event loop; ``ledger`` may be read from there at any time.
    """

    def __init__(
        self,
        kafka: Mapping[str, str],
        topic: Topic,
        schemas: EventSchemas = OWN_SCHEMAS,
        keyring: Keyring | None = None,
    ) -> None:
        self.ledger = JobLedger()
        self.schemas = schemas
        self._topic = topic.name
        self._appender = Appender(kafka, "jobs", timeout_s=_APPEND_TIMEOUT_S)
        self._keyring = keyring
        self._follower = _Follower(
            lambda: TopicFollower(kafka, topic, schemas, properties=FROM_FIRST, keyring=keyring),
            self.ledger,
        )
        self._started = asyncio.Event()
        # The follower's own connection waits for records, so other questions go another way.
        self._metadata_client = RangeReader(kafka, "job-events", ask_s=_METADATA_TIMEOUT_S)

    def start(self) -> None:
        """Connect and begin to follow; return at once. The topic must exist."""
        self._appender.warm()
        self._follower.start()
        self._started.set()

    @property
    def held_up_by(self) -> str | None:
        """The reason why the follower is stuck on a schema it can't fetch; None if it isn't."""
        return self._follower.held_up_by

    async def until_moved(self) -> None:
        """Wait until this version of the log has ended.

        Raises:
            LogMovedError: always, once it has.
        """
        raise LogMovedError(await self._follower.moved_to())

    async def stop(self) -> None:
        """End the thread and close all clients."""
        self._appender.discard()
        await asyncio.to_thread(self._follower.stop)
        await asyncio.to_thread(self._metadata_client.close)

    async def accept(self, event: JobAccepted) -> Acceptance:
        """Append the attempt and wait for the log's decision.

        Takes about fifteen seconds at most; only ``unknown`` leaves anything open.
        """
        if not await self._has_started():
            return "voided"
        decision: Decision | None = None
        if await self._is_settled(event):
            decision = self.ledger.decision(event.job_id, event.attempt)
        return decision or "unknown"

    async def change(self, event: ChangeEvent) -> RevertOutcome:
        """Append the event and wait for the log's decision, as :meth:`accept` does."""
        if not await self._has_started():
            return "voided"
        decision: RevertDecision | None = None
        if await self._is_settled(event):
            decision = self.ledger.reverts.decision(event.job_id, event.attempt)
        return decision or "unknown"

    async def settle(self, event: AttributeChanged | PresetDefined, not_known: str) -> None:
        """Append the event, and wait until it has been read.

        Raises:
            UnavailableError: the log is held, or, with the words of ``not_known``, it isn't known
                whether the event is in the log.
        """
        if self.ledger.moves.is_held:
            raise UnavailableError(LOG_HELD)
        if not await self._has_started():
            raise UnavailableError(not_known)
        try:
            await self._read_past(await self._append(event, event.name))
        except LogUnavailableError:
            raise UnavailableError(not_known) from None

    async def _has_started(self) -> bool:
        """Wait a little for :meth:`start`; before it nothing is appended, as no outcome is read."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_READ_TIMEOUT_S):
                await self._started.wait()
        return self._started.is_set()

    async def _is_settled(self, event: _Attempt) -> bool:
        """Append the event, or what voids it; return whether the log was read past it."""
        try:
            offset = await self._append_or_void(event)
            await self._read_past(offset)
        except LogUnavailableError:
            return False
        return True

    async def _append_or_void(self, event: _Attempt) -> int:
        try:
            return await self._append(event, str(event.job_id))
        except LogUnavailableError:
            self._appender.discard()
            voided = JobVoided(job_id=event.job_id, attempt=event.attempt)
            return await self._append(voided, str(event.job_id))

    async def _append(
        self, event: _Attempt | JobVoided | AttributeChanged | PresetDefined, key: str
    ) -> int:
        value = encode(event)
        digest = digest_headers(self._keyring, self._topic, key.encode(), value)
        return await self._appender.append(
            Record(
                topic=self._topic,
                partition=0,
                key=key.encode(),
                value=value,
                headers=[*digest, *TRACES.headers()],
            )
        )

    async def _read_past(self, offset: int) -> None:
        try:
            async with asyncio.timeout(_READ_TIMEOUT_S):
                await self._follower.read_past(offset)
        except TimeoutError:
            raise LogUnavailableError(f"{self._topic} was not read up to {offset}") from None

    async def catch_up(self) -> None:
        """Wait until the ledger has read all that was in the log when this was called.

        Raises:
            LogUnavailableError: Kafka doesn't answer.
        """
        next_offset = await asyncio.to_thread(self._end_of_log)
        if next_offset:
            await self._read_past(next_offset - 1)

    def _end_of_log(self) -> int:
        deadline_s = time.monotonic() + _METADATA_TIMEOUT_S
        while True:
            try:
                return self._metadata_client.bounds(self._topic, 0)[1]
            except KafkaUnreachableError as error:
                # The leader may have moved, or not yet been elected for a new topic.
                if time.monotonic() > deadline_s:
                    raise LogUnavailableError(str(error)) from error
            time.sleep(_PAUSE_S)

    async def topics(self) -> dict[str, int]:
        """Return the number of partitions of each topic.

        Raises:
            LogUnavailableError: Kafka doesn't answer.
        """
        return await asyncio.to_thread(self._list_topics)

    def _list_topics(self) -> dict[str, int]:
        try:
            return self._metadata_client.topics()
        except KafkaUnreachableError as error:
            raise LogUnavailableError(str(error)) from error


class _Follower:
    """The thread that reads `job-events` into the ledger, and wakes those who wait for it."""

    def __init__(self, make: Callable[[], TopicFollower], ledger: JobLedger) -> None:
        self._make = make
        self._ledger = ledger
        self._next_offset = 0
        self._thread = EssentialThread("job-events", self._follow)
        self.held_up_by: str | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._waiting: list[tuple[int, asyncio.Event]] = []
        self._moved = asyncio.Event()
        self._lock = threading.Lock()

    def start(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._thread.start()

    def stop(self) -> None:
        self._thread.stop()

    async def moved_to(self) -> int:
        """Wait until this version of the log has ended; return the one in which it goes on."""
        await self._moved.wait()
        return self._ledger.moves.moved_to or 0

    async def read_past(self, offset: int) -> None:
        """Wait until the record at this offset, and all before it, have been read."""
        read = asyncio.Event()
        with self._lock:
            if self._next_offset > offset:
                return
            self._waiting.append((offset, read))
        await read.wait()

    def _follow(self) -> None:
        follower = self._make()
        try:
            while not self._thread.stopping.is_set():
                for logged in follower.poll(_POLL_S):
                    self._read(logged)
                held_up_by = follower.held_up_by
                self.held_up_by = held_up_by and f"job-events is not read on: {held_up_by}"
                self._wake(follower.next_offset)
        finally:
            follower.close()

    def _read(self, logged: LoggedEvent) -> None:
        if (found := violation(logged.event)) is not None:
            _log.error("unfit record in job-events", offset=logged.offset, code=found.code)
        self._ledger.apply(logged.offset, logged.event)

    def _wake(self, next_offset: int) -> None:
        """Tell who waits for what has been read by now."""
        with self._lock:
            self._next_offset = next_offset
            reached = [read for awaited, read in self._waiting if awaited < next_offset]
            self._waiting = [waiting for waiting in self._waiting if waiting[0] >= next_offset]
        if self._ledger.moves.moved_to is not None:
            reached.append(self._moved)
        for read in reached:
            # Of a closed loop nobody waits any more.
            with contextlib.suppress(RuntimeError):
                cast("asyncio.AbstractEventLoop", self._loop).call_soon_threadsafe(read.set)
