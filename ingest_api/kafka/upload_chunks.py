"""Writes uploaded files in chunks to the topic `uploads`, and reads them back.

A file's chunks lie in one partition, in order, between the offsets that its
``JobAccepted`` names; chunks of other uploads may lie between them.
Each carries the attempt that wrote it and its index, so that a reader never
takes a chunk of another attempt with the same job id for its own.
"""

from __future__ import annotations

import hashlib
import math
import time
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from confluent_kafka import KafkaException, TopicPartition

from ingest_api.errors import LogUnavailableError, UploadLostError
from ingest_api.kafka.producer import Record
from schemas.clients.kafka import LONGEST_POLL_S, make_reader
from schemas.clients.ranges import is_gone
from schemas.clients.unreadable import UnreadableBatch, UnreadableBatches
from schemas.clients.watermarks import watermarks
from schemas.events import ChunkRange
from schemas.log.record_headers import headers_of
from schemas.log.topics import partition_of

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Container, Mapping

    from confluent_kafka import Consumer, Message

    from ingest_api.kafka.producer import Appender
    from schemas.events import JobAccepted
    from schemas.log.topics import Topic

CHUNK_BYTES: Final = 512 * 1024
"""Below the 1 MB that brokers take by default."""
_MOST_UNACKNOWLEDGED: Final = 4
"""Chunks of one upload: enough to keep the broker busy, few enough to hold in memory."""
_POLL_S: Final = 0.5
_STEP_OVER_S: Final = LONGEST_POLL_S / 3
"""That batches which nobody can decompress may cost the reader of one file: far less than the
publisher's lease lasts without a poll."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredFile:
    """The offsets of a file in `uploads`, with its size and hash."""

    job_id: int
    attempt: str
    chunks: ChunkRange
    size_bytes: int
    sha256: str


def stored_file(accepted: JobAccepted) -> StoredFile:
    """Return the stored file of an accepted job."""
    return StoredFile(
        job_id=accepted.job_id,
        attempt=accepted.attempt,
        chunks=accepted.chunks,
        size_bytes=accepted.size_bytes,
        sha256=accepted.sha256,
    )


class ChunkWriter:
    """Writes one file to `uploads` as it streams, with a few chunks in memory at most."""

    def __init__(self, appender: Appender, topic: Topic, *, job_id: int, attempt: str) -> None:
        self._appender = appender
        self._topic = topic
        self._key = str(job_id).encode()
        self._attempt = attempt.encode()
        self._partition = partition_of(self._key, topic.partitions)
        self._buffer = bytearray()
        self._under_way: deque[asyncio.Future[int]] = deque()
        self._count = 0
        self._first_offset: int | None = None
        self._last_offset = -1

    async def write(self, data: bytes) -> None:
        """Append the file's next bytes; wait while too many chunks are unacknowledged.

        Raises:
            LogUnavailableError: a chunk was not acknowledged in time.
        """
        self._buffer += data
        while len(self._buffer) >= CHUNK_BYTES:
            chunk = bytes(self._buffer[:CHUNK_BYTES])
            del self._buffer[:CHUNK_BYTES]
            await self._append(chunk)

    async def finish(self) -> ChunkRange:
        """Wait until every chunk is acknowledged; return where the file is.

        Raises:
            LogUnavailableError: a chunk was not acknowledged in time.
            ValueError: the file is empty.
        """
        if self._buffer:
            await self._append(bytes(self._buffer))
            self._buffer.clear()
        while self._under_way:
            await self._acknowledge()
        if self._first_offset is None:
            raise ValueError("an empty file has no chunks")
        return ChunkRange(
            partition=self._partition,
            first_offset=self._first_offset,
            last_offset=self._last_offset,
            count=self._count,
        )

    def abandon(self) -> None:
        """Forget chunks under way; those that no job refers to expire with the topic."""
        for future in self._under_way:
            if not future.cancel() and not future.cancelled():
                future.exception()  # nobody asks for it any more
        self._under_way.clear()
        self._buffer.clear()

    async def _append(self, chunk: bytes) -> None:
        while len(self._under_way) >= _MOST_UNACKNOWLEDGED:
            await self._acknowledge()
        record = Record(
            topic=self._topic.name,
            partition=self._partition,
            key=self._key,
            value=chunk,
            headers=[("attempt", self._attempt), ("index", str(self._count).encode())],
        )
        self._count += 1
        self._under_way.append(self._appender.append(record))

    async def _acknowledge(self) -> None:
        self._last_offset = await self._under_way.popleft()
        if self._first_offset is None:
            self._first_offset = self._last_offset


class ChunkSource:
    """A consumer of `uploads`, reused for file after file by one thread at a time."""

    def __init__(
        self,
        kafka: Mapping[str, str],
        topic: str,
        *,
        timeout_s: float = 30,
        search_s: float = math.inf,
    ) -> None:
        """``search_s``: how long it looks for a chunk among those of other files."""
        self._topic = topic
        self._timeout_s = timeout_s
        self._search_s = search_s
        self._partitions: Container[int] = ()
        self._consumer = make_reader(
            kafka,
            "uploads",
            {
                # A fetch that waits at the end of one partition holds up the next file's.
                "fetch.wait.max.ms": 20,
                "fetch.error.backoff.ms": 20,
                "queued.max.messages.kbytes": 8192,
            },
        )
        self._unreadable = UnreadableBatches(kafka, self._consumer)

    def open(self, file: StoredFile) -> ChunkReader:
        """Return a reader of the file; one opened before gives nothing more.

        Raises:
            LogUnavailableError: the broker doesn't answer.
            UploadLostError: there is no such partition.
        """
        self._learn_topic()
        if file.chunks.partition not in self._partitions:
            raise _lost(file, f"{self._topic} has no partition {file.chunks.partition}")
        start = TopicPartition(self._topic, file.chunks.partition, file.chunks.first_offset)
        self._consumer.assign([start])
        self._unreadable.read_anew(self._topic, file.chunks.partition)
        return ChunkReader(
            (self._consumer, self._unreadable),
            file,
            timeout_s=self._timeout_s,
            search_s=self._search_s,
        )

    def _learn_topic(self) -> None:
        # A connected librdkafka asks for a topic that it doesn't know only once a second.
        if self._partitions:
            return
        try:
            metadata = self._consumer.list_topics(self._topic, timeout=self._timeout_s)
        except KafkaException as error:
            raise LogUnavailableError(str(error)) from error
        self._partitions = set(metadata.topics[self._topic].partitions)
        if not self._partitions:
            raise LogUnavailableError(f"{self._topic} has no partitions yet")

    def close(self) -> None:
        """Close the consumer."""
        self._unreadable.close()
        self._consumer.close()


class ChunkReader:
    """Reads one stored file, and checks its size and SHA-256 at the end."""

    def __init__(
        self,
        consumer: tuple[Consumer, UnreadableBatches],
        file: StoredFile,
        *,
        timeout_s: float,
        search_s: float,
    ) -> None:
        self._consumer, self._unreadable = consumer
        self._file = file
        self._timeout_s = timeout_s
        self._search_s = search_s
        self._buffer = bytearray()
        self._next_index = 0
        self._size_bytes = 0
        self._stepping_s = 0.0
        self._digest = hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        """Return the next ``size`` bytes, fewer only at the end; all the rest if negative.

        Blocks until the bytes come from the broker.

        Raises:
            UploadLostError: the log does not hold the file as it was accepted.
            LogUnavailableError: no chunk came for the time-out.
        """
        size = self._file.size_bytes if size < 0 else size
        while len(self._buffer) < size and self._next_index < self._file.chunks.count:
            self._buffer += self._next_chunk()
        data = bytes(self._buffer[:size])
        del self._buffer[:size]
        return data

    def _next_chunk(self) -> bytes:
        message = self._next_own_message()
        headers = dict(headers_of(message))
        if headers.get("index") != str(self._next_index).encode():
            raise self._lost(f"chunk {self._next_index} is not where it was written")
        chunk = message.value() or b""
        self._next_index += 1
        self._size_bytes += len(chunk)
        self._digest.update(chunk)
        if self._next_index == self._file.chunks.count:
            # What is fetched beyond the file would hold up the next one.
            self._consumer.unassign()
            self._check_whole()
        return chunk

    def _next_own_message(self) -> Message:
        key = str(self._file.job_id).encode()
        deadline_s = time.monotonic() + self._search_s
        while True:
            if time.monotonic() > deadline_s:
                raise self._lost(f"chunk {self._next_index} is not found in {self._search_s} s")
            began_s = time.monotonic()
            message = self._next_message()
            if isinstance(message, UnreadableBatch):
                self._stepping_s += time.monotonic() - began_s
            if self._stepping_s > _STEP_OVER_S:
                raise self._lost("too many batches that nobody can decompress lie among its chunks")
            attempt = dict(headers_of(message)).get("attempt")
            if message.key() == key and attempt == self._file.attempt.encode():
                return message
            is_first = self._next_index == 0
            if is_first or (message.offset() or 0) >= self._file.chunks.last_offset:
                raise self._lost(f"chunk {self._next_index} is missing")

    def _next_message(self) -> Message:
        deadline_s = time.monotonic() + self._timeout_s
        while time.monotonic() < deadline_s:
            message = self._poll()
            if message is not None:
                return message
        self._check_there()
        raise LogUnavailableError(f"no chunk of job {self._file.job_id} in {self._timeout_s} s")

    def _check_there(self) -> None:
        """Raise where the log ends before the file does: no chunk of it is still to come."""
        chunks = self._file.chunks
        [place] = self._consumer.assignment()
        try:
            _, end = watermarks(self._consumer, place, self._timeout_s)
        except KafkaException as error:
            raise LogUnavailableError(str(error)) from error
        if chunks.last_offset >= end:
            raise self._lost(f"the log ends before offset {chunks.last_offset}")

    def _poll(self) -> Message | None:
        try:
            message = self._consumer.poll(_POLL_S)
        except KafkaException as error:
            raise LogUnavailableError(str(error)) from error
        if message is None:
            return None
        if message.error() is not None:
            # A batch of somebody else's is none of its chunks; one of its own is missing then.
            message = self._unreadable.stepped_over(message)
        error = message.error()
        if error is None:
            return message
        if is_gone(error):
            raise self._lost(error.str())
        return None  # librdkafka goes on by itself after every other error

    def _check_whole(self) -> None:
        if self._size_bytes != self._file.size_bytes:
            raise self._lost(f"{self._size_bytes} bytes instead of {self._file.size_bytes}")
        if self._digest.hexdigest() != self._file.sha256:
            raise self._lost("its SHA-256 is not the accepted one")

    def _lost(self, why: str) -> UploadLostError:
        return _lost(self._file, why)


def _lost(file: StoredFile, why: str) -> UploadLostError:
    return UploadLostError(f"the file of job {file.job_id} is not in the log: {why}")
