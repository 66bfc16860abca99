"""A log to publish to: what an API accepts and processors say, and what stands in it then."""

from __future__ import annotations

import asyncio
import hashlib
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from confluent_kafka import OFFSET_END, Consumer, TopicPartition
from confluent_kafka.admin import AdminClient

from ingest_api.kafka.producer import Appender
from ingest_api.kafka.topic_setup import ensure_topics
from ingest_api.kafka.upload_chunks import ChunkWriter
from schemas.clients.kafka import make_producer
from schemas.codec import codec, columnar, framing
from schemas.events import (
    JobFailed,
    JobOpened,
    JobSealed,
    JobStatus,
    UserRow,
)
from tests.support.data.log_reading import end_reader, read_topic
from tests.support.models.file_oracle import accepted_job
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from schemas.config.settings import Settings
    from schemas.events import Event, JobAccepted
    from tests.support.servers.services import Services
    from tests.support.servers.surroundings import Ground


TIMEOUT_S = 60


class World:
    """What surrounds a publisher: an API that accepts, and processors that read."""

    def __init__(self, env: Ground, services: Services) -> None:
        self.settings: Settings = env.settings
        self.services = services
        self.topics = self.settings.topics
        self.files: dict[int, bytes] = {}
        ensure_topics(self.settings)
        self._producer = make_producer(self.settings.kafka, {"linger.ms": 0})

    def append(self, event: Event, topic: str, partition: int = 0) -> None:
        """One event, acknowledged."""
        self.append_value(codec.encode(event), topic, partition)

    def append_value(self, value: bytes | None, topic: str, partition: int = 0) -> None:
        """Any record, acknowledged."""
        self._producer.produce(topic, value, b"key", partition)
        assert self._producer.flush(TIMEOUT_S) == 0

    def accept(self, job_id: int, content: bytes, **changes: Any) -> JobAccepted:
        """A file in `uploads`, and its job in `job-events`."""
        job = asyncio.run(self._store(job_id, content))
        job = replace(job, **changes)
        self.files[job_id] = content
        self.append(job, self.topics.job_events.name)
        return job

    async def _store(self, job_id: int, content: bytes) -> JobAccepted:
        appender = Appender(self.settings.kafka, "test", timeout_s=TIMEOUT_S)
        writer = ChunkWriter(appender, self.topics.uploads, job_id=job_id, attempt="attempt")
        await writer.write(content)
        chunks = await writer.finish()
        appender.discard()
        return accepted_job(
            job_id=job_id,
            chunks=chunks,
            size_bytes=len(content),
            sha256=hashlib.sha256(content).hexdigest(),
            lines=content.count(b"\n") - 1,
        )

    def failures(self) -> list[JobFailed]:
        """What `job-events` says of jobs that failed."""
        [records] = read_topic(self.settings, self.topics.job_events)
        events = [codec.decode(record.value()) for record in records]
        return [event for event in events if isinstance(event, JobFailed)]

    def lose_files(self) -> None:
        """Delete all records of `uploads`, as its retention does."""
        name = self.topics.uploads.name
        admin = AdminClient(dict(self.settings.kafka))
        places = [
            TopicPartition(name, number, OFFSET_END)
            for number in range(self.topics.uploads.partitions)
        ]
        for done in admin.delete_records(places).values():  # pyright: ignore[reportUnknownVariableType]
            done.result()

    def log(self) -> list[list[bytes]]:
        """The values of `user-events`, by partition."""
        records = read_topic(self.settings, self.topics.user_events)
        return [[record.value() or b"" for record in partition] for partition in records]

    def seals(self, job_id: int) -> list[int]:
        """How many passes over this job are sealed, by partition."""
        return [
            sum(isinstance(event, JobSealed) and event.job_id == job_id for event in events)
            for events in ([codec.decode(value) for value in log] for log in self.brackets())
        ]

    def brackets(self) -> list[list[bytes]]:
        """What is neither a row nor a rejection, by partition."""
        frames = (framing.frame_of(JobOpened), framing.frame_of(JobSealed))
        return [[value for value in log if value.startswith(frames)] for log in self.log()]

    def wait_records(self, count: int) -> None:
        """Return once `user-events` holds so many records."""
        with end_reader(self.settings, self.topics.user_events) as end:
            wait_until(lambda: end() >= count, TIMEOUT_S, every_s=0.005)

    def wait_sealed(self, job_id: int, times: int = 1) -> None:
        """Return once so many whole passes over the job are in the log."""
        wait_until(
            lambda: min(self.seals(job_id)) >= times,
            TIMEOUT_S,
            saying=f"job {job_id} sealed {times} times",
            every_s=0.1,
        )

    def commit_all_as_processors(self) -> None:
        """Say that the processors have read all of `user-events`."""
        self.commit_as_processors([len(partition) for partition in self.log()])

    def commit_as_processors(self, next_offsets: list[int]) -> None:
        """Say how far the processors have come in `user-events`, by partition."""
        self._commit(self.settings.group, self.topics.user_events.name, next_offsets)

    def commit_as_publisher(self, next_offset: int) -> None:
        """Say that a publisher has come so far in `job-events`."""
        self._commit(f"{self.settings.group}-publisher", self.topics.job_events.name, [next_offset])

    def _commit(self, group: str, topic: str, next_offsets: list[int]) -> None:
        consumer = Consumer({**self.settings.kafka, "group.id": group})
        places = [TopicPartition(topic, *place) for place in enumerate(next_offsets)]
        consumer.commit(offsets=places, asynchronous=False)
        consumer.close()

    def complete(self, job: JobAccepted) -> None:
        """Report the job as complete."""
        status = JobStatus(
            job_id=job.job_id,
            version=2,
            state="COMPLETED",
            mode=job.mode,
            lines=job.lines,
            inserted=job.lines,
            updated=0,
            unchanged=0,
            rejected=0,
            file_name=None,
            sha256=job.sha256,
            accepted_at=job.accepted_at,
            accepted_by=job.accepted_by,
            started_at=job.accepted_at,
            finished_at=job.accepted_at,
        )
        self.append(status, self.topics.job_status.name)


def decoded(partition: list[bytes]) -> list[tuple[bytes, Any]]:
    """Each value with its event, of rows only job and sequence."""
    row_frame = framing.frame_of(UserRow)
    rows: Any = columnar.decode_batch(
        UserRow, [value for value in partition if value[:10] == row_frame]
    )
    places: Iterator[Any] = iter(rows.select(["job_id", "sequence"]).to_pylist())
    return [
        (value, next(places) if value[:10] == row_frame else codec.decode(value))
        for value in partition
    ]
