"""Files go into `uploads` as they stream and come out as they were."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import random
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from ingest_api.errors import LogUnavailableError, UploadLostError
from ingest_api.kafka.producer import Appender, Record
from ingest_api.kafka.topic_setup import ensure_topics
from ingest_api.kafka.upload_chunks import CHUNK_BYTES, ChunkSource, ChunkWriter, StoredFile
from schemas.log.topics import partition_of
from tests.support.data.raw_batches import append_unreadable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from confluent_kafka import Producer

    from schemas.config.settings import Settings
    from tests.support.servers.surroundings import Ground

JOB_ID = 7


@pytest.fixture
def settings(env: Ground) -> Settings:
    """The test's own topics, made."""
    ensure_topics(env.settings)
    return env.settings


@pytest.fixture
def source(settings: Settings) -> Iterator[ChunkSource]:
    """One consumer for all files of a test."""
    made = ChunkSource(settings.kafka, settings.topics.uploads.name, timeout_s=60)
    yield made
    made.close()


async def write_all(settings: Settings, files: dict[str, bytes], job_id: int) -> list[StoredFile]:
    """Write the files of these attempts at one job, a piece of each in turn."""
    appender = Appender(settings.kafka, "test", timeout_s=60)
    topic = settings.topics.uploads
    writers = {
        attempt: ChunkWriter(appender, topic, job_id=job_id, attempt=attempt) for attempt in files
    }
    longest = max(map(len, files.values()))
    for at in range(0, longest, 200_000):
        for attempt, content in files.items():
            await writers[attempt].write(content[at : at + 200_000])
    stored = [
        StoredFile(
            job_id=job_id,
            attempt=attempt,
            chunks=await writers[attempt].finish(),
            size_bytes=len(content),
            sha256=hashlib.sha256(content).hexdigest(),
        )
        for attempt, content in files.items()
    ]
    appender.discard()
    return stored


def write(settings: Settings, files: dict[str, bytes], job_id: int = JOB_ID) -> list[StoredFile]:
    """Write the files, named by their attempts."""
    return asyncio.run(write_all(settings, files, job_id))


def test_attempts_side_by_side_come_out_each_as_it_was(
    settings: Settings, source: ChunkSource
) -> None:
    """Attempts at one job share a partition; no reader takes another's chunk."""
    contents = {
        "one": random.Random(1).randbytes(3 * CHUNK_BYTES + 17),
        "two": random.Random(2).randbytes(2 * CHUNK_BYTES),
        "three": b"a",
    }
    stored = write(settings, contents)
    assert [file.chunks.count for file in stored] == [4, 2, 1]
    for file in stored:
        reader = source.open(file)
        pieces = list(iter(lambda reader=reader: reader.read(100_001), b""))
        assert b"".join(pieces) == contents[file.attempt]
        assert {len(piece) for piece in pieces[:-1]} <= {100_001}


def test_a_source_is_used_for_one_file_after_another(
    settings: Settings, source: ChunkSource
) -> None:
    """A file that is not read to its end leaves nothing to the next."""
    (first,) = write(settings, {"first": random.Random(3).randbytes(2 * CHUNK_BYTES)})
    (second,) = write(settings, {"second": b"second"}, job_id=8)
    source.open(first).read(10)
    assert source.open(second).read() == b"second"
    assert len(source.open(first).read()) == 2 * CHUNK_BYTES


@pytest.mark.parametrize(
    "changed",
    [{"sha256": "0" * 64}, {"size_bytes": 5}, {"attempt": "other"}, {"job_id": 9}],
    ids=lambda changed: next(iter(changed)),
)
def test_a_file_that_is_not_what_was_accepted_is_never_taken_for_it(
    settings: Settings, source: ChunkSource, changed: dict[str, object]
) -> None:
    """The reader says so instead of giving its end."""
    (file, _) = write(settings, {"mine": b"content", "after": b"x" * CHUNK_BYTES})
    reader = source.open(replace(file, **changed))
    with pytest.raises(UploadLostError):
        reader.read()


def test_chunks_that_are_gone_are_lost(settings: Settings, source: ChunkSource) -> None:
    """Offsets beyond the log end at once, with a reason, and no other chunk is read instead."""
    (file,) = write(settings, {"mine": b"content"})
    beyond = replace(file.chunks, first_offset=1000, last_offset=1000)
    with pytest.raises(UploadLostError):
        source.open(replace(file, chunks=beyond)).read()


def test_a_batch_that_nobody_can_read_holds_up_no_file(
    settings: Settings, source: ChunkSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Among the chunks of a file it is another's; in the place of one that one is missing.

    Of a file among whose chunks it takes too long to step over them no more is looked for.
    """
    content = random.Random(4).randbytes(6 * CHUNK_BYTES)
    partition, unreadable = 0, -1

    async def write_around_it() -> StoredFile:
        nonlocal partition, unreadable
        appender = Appender(settings.kafka, "test", timeout_s=60)
        writer = ChunkWriter(appender, settings.topics.uploads, job_id=JOB_ID, attempt="mine")
        await writer.write(content[:-1])  # the first chunk is there: only few are under way
        name = settings.topics.uploads.name
        partition = partition_of(str(JOB_ID).encode(), settings.topics.uploads.partitions)
        unreadable = await asyncio.to_thread(append_unreadable, settings, name, partition)
        await writer.write(content[-1:])
        chunks = await writer.finish()
        appender.discard()
        return StoredFile(
            job_id=JOB_ID, attempt="mine", chunks=chunks, size_bytes=len(content),
            sha256=hashlib.sha256(content).hexdigest(),
        )  # fmt: skip

    file = asyncio.run(write_around_it())
    assert file.chunks.first_offset < unreadable < file.chunks.last_offset
    assert source.open(file).read() == content
    lost = replace(file, chunks=replace(file.chunks, first_offset=unreadable))
    with pytest.raises(UploadLostError, match="chunk 0 is missing"):
        source.open(lost).read()
    assert source.open(file).read() == content
    monkeypatch.setattr("ingest_api.kafka.upload_chunks._STEP_OVER_S", 0.0)
    with pytest.raises(UploadLostError, match="batches that nobody can decompress"):
        source.open(file).read()


class MetByItsEnd:
    """A producer that is discarded by another thread while a record is handed to it."""

    def __init__(self, polled: Any) -> None:
        self._polled = polled
        self._producer: Producer = polled._producer

    def produce(self, *arguments: Any, **more: Any) -> None:
        """Give the serving thread time to throw everything away, then queue the record."""
        self._polled.discard()
        self._polled._thread.join(1)
        self._producer.produce(*arguments, **more)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._producer, name)


def test_a_record_that_meets_the_end_of_its_producer_is_reported(settings: Settings) -> None:
    """As not delivered, or as delivered: nobody waits for it for ever."""
    record = Record(
        topic=settings.topics.uploads.name, partition=0, key=b"k", value=b"v", headers=()
    )

    async def run() -> None:
        appender = Appender(settings.kafka, "test", timeout_s=60)
        await appender.append(record)
        polled: Any = appender._polled  # pyright: ignore[reportPrivateUsage] - the end of it is met
        polled._producer = MetByItsEnd(polled)
        async with asyncio.timeout(60):
            with contextlib.suppress(LogUnavailableError):
                await appender.append(record)
            await appender.append(record)
        appender.discard()

    asyncio.run(run())
