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
from confluent_kafka import KafkaException, TopicPartition

from ingest_api.errors import LogUnavailableError
from ingest_api.event_log.ledger import JobLedger
from ingest_api.kafka.log_moved import LogMovedError
from ingest_api.kafka.producer import Appender, Record
from schemas.clients.event_schemas import OWN_SCHEMAS
from schemas.clients.kafka import make_reader
from schemas.codec.codec import UndecodableError, encode
from schemas.codec.registry_protocol import RegistryUnreachableError
from schemas.events import JobVoided
from schemas.log.storable import misfit
from schemas.runtime.essential import EssentialThread

if TYPE_CHECKING:
    from collections.abc import Mapping

    from confluent_kafka import Message

    from ingest_api.event_log.ledger import Decision
    from schemas.clients.event_schemas import EventSchemas
    from schemas.events import Event, JobAccepted, JobRestored, JobReverted
    from schemas.log.reverts import RevertDecision

    _Attempt = JobAccepted | JobReverted | JobRestored

Acceptance = Literal["accepted", "same", "conflict", "voided", "unknown"]
"""A ledger's decision, or ``unknown`` where the log could not be read."""
RevertOutcome = Literal["counts", "changes nothing", "voided", "unknown"]
"""The same for an event that reverts or restores a job."""

_APPEND_TIMEOUT_S: Final = 4.0
_READ_TIMEOUT_S: Final = 4.0
_METADATA_TIMEOUT_S: Final = 2.0
_PAUSE_S: Final = 0.05
_POLL_S: Final = 0.5
_SCHEMA_PAUSE_S: Final = 1.0
_log = structlog.stdlib.get_logger("rollcall.api")


class JobLog:
    """Appends to `job-events` and follows it from its beginning in a thread of its own.

    Its methods belong to one event loop; ``ledger`` may be read from there at any time.
    """

    def __init__(
        self, kafka: Mapping[str, str], topic: str, schemas: EventSchemas = OWN_SCHEMAS
    ) -> None:
        self.ledger = JobLedger()
        self.schemas = schemas
        self._topic = topic
        self._appender = Appender(kafka, timeout_s=_APPEND_TIMEOUT_S)
        self._follower = _Follower(kafka, topic, self.ledger, schemas)
        self._started = asyncio.Event()
        # The follower's own connection waits for records, so other questions go another way.
        self._metadata_client = make_reader(kafka, "job-events")

    def start(self) -> None:
        """Connect and begin to follow; return at once. The topic must exist."""
        self._appender.warm()
        self._follower.start()
        self._started.set()

    @property
    def held_up_by(self) -> str | None:
        """Why the follower is stuck: a record's schema can't be fetched; None if it isn't."""
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

    async def change(self, event: JobReverted | JobRestored) -> RevertOutcome:
        """Append the event and wait for the log's decision, as :meth:`accept` does."""
        if not await self._has_started():
            return "voided"
        decision: RevertDecision | None = None
        if await self._is_settled(event):
            decision = self.ledger.reverts.decision(event.job_id, event.attempt)
        return decision or "unknown"

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
            return await self._append(event)
        except LogUnavailableError:
            self._appender.discard()
            return await self._append(JobVoided(job_id=event.job_id, attempt=event.attempt))

    async def _append(self, event: _Attempt | JobVoided) -> int:
        return await self._appender.append(
            Record(
                topic=self._topic,
                partition=0,
                key=str(event.job_id).encode(),
                value=encode(event),
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
        partition = TopicPartition(self._topic, 0)
        deadline_s = time.monotonic() + _METADATA_TIMEOUT_S
        while True:
            try:
                return self._metadata_client.get_watermark_offsets(
                    partition, timeout=_METADATA_TIMEOUT_S
                )[1]
            except KafkaException as error:
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
            found = self._metadata_client.list_topics(timeout=_METADATA_TIMEOUT_S)
        except KafkaException as error:
            raise LogUnavailableError(str(error)) from error
        return {name: len(topic.partitions) for name, topic in found.topics.items()}


class _Follower:
    """The thread that reads `job-events` into the ledger, and wakes those who wait for it."""

    def __init__(
        self, kafka: Mapping[str, str], topic: str, ledger: JobLedger, schemas: EventSchemas
    ) -> None:
        self._schemas = schemas
        self._kafka = kafka
        self._topic = topic
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
        consumer = make_reader(self._kafka, "job-events")
        with contextlib.suppress(KafkaException):
            # A connected librdkafka asks for a topic that it doesn't know only once a second.
            consumer.list_topics(self._topic, timeout=_METADATA_TIMEOUT_S)
        consumer.assign([TopicPartition(self._topic, 0, 0)])
        while not self._thread.stopping.is_set():
            message = consumer.poll(_POLL_S)
            if message is not None and self._is_record(message):
                self._read(message)
        consumer.close()

    def _is_record(self, message: Message) -> bool:
        error = message.error()
        if error is not None:
            # librdkafka tries again by itself; meanwhile whoever waits gets a time-out.
            _log.warning("job-events cannot be read", error=error.str())
        return error is None

    def _read(self, message: Message) -> None:
        offset = message.offset() or 0
        try:
            if (event := self._decoded(message.value())) is None:
                return
            if (found := misfit(event)) is not None:
                _log.error("unfit record in job-events", offset=offset, code=found.code)
            self._ledger.apply(offset, event)
        except UndecodableError as error:
            # Every reader skips it alike, so it decides nothing.
            _log.error("undecodable record in job-events", offset=offset, code=error.code)
        with self._lock:
            self._next_offset = offset + 1
            reached = [read for awaited, read in self._waiting if awaited <= offset]
            self._waiting = [waiting for waiting in self._waiting if waiting[0] > offset]
        if self._ledger.moves.moved_to is not None:
            reached.append(self._moved)
        for read in reached:
            # Of a closed loop nobody waits any more.
            with contextlib.suppress(RuntimeError):
                cast("asyncio.AbstractEventLoop", self._loop).call_soon_threadsafe(read.set)

    def _decoded(self, value: bytes | None) -> Event | None:
        """Decode the event, retrying as long as its schema can't be fetched; None once stopped."""
        while not self._thread.stopping.is_set():
            try:
                event = self._schemas.decode(value)
            except RegistryUnreachableError as error:
                self.held_up_by = f"job-events is not read on: {error}"
                self._thread.stopping.wait(_SCHEMA_PAUSE_S)
            else:
                self.held_up_by = None
                return event
        return None
