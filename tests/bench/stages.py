"""Each stage of an import alone: the code that does it, while the others wait.

The stages in this process call the code itself; receiving, publishing and projecting are done by
the services, one after another instead of side by side.
"""

import time
from collections.abc import Generator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
from confluent_kafka import Consumer, TopicPartition
from psycopg.rows import dict_row

from ingest_api.parsing.file_format import DELIMITERS, FileFormat
from ingest_api.publisher.consumer_lag import ConsumerLag
from ingest_api.publisher.encode_pass import FilePass
from ingest_api.validation.validate import survey
from processor.decoding.decode_records import decode_records
from processor.decoding.producer_rules import LogPartition
from processor.runtime.garbage_collection import rare_collections
from schemas.codec import codec
from schemas.config.settings import Settings
from schemas.events import ChunkRange, JobAccepted, JobMode, JobSealed
from schemas.rules.fields import RULES_VERSION
from tests.bench.services import READY_TIMEOUT_S, Installation

if TYPE_CHECKING:
    from confluent_kafka import Message

_BATCH_RECORDS = 20_000
_TIMEOUT_S = 60.0
_POLL_S = 0.02
_PUBLISH_TIMEOUT_S = 600


@dataclass(frozen=True, slots=True)
class _Step:
    mode: JobMode
    file: Path


def measured_stages(
    installed: Installation, files: tuple[Path, Path], processors: int
) -> Generator[tuple[str, float]]:
    """The seconds of each stage; `files` are two editions of the same users."""
    accepted = _accepted(files[0])
    yield "parse and check", _parse_and_check(files[0])
    yield "parse, check and encode", _encode(files[0], accepted, installed.settings)
    installed.start_api_and_publisher()
    installed.start_processors(1)  # it makes the tables
    installed.client.wait_ready(READY_TIMEOUT_S)
    installed.stop_processors()
    steps = (_Step("insert", files[0]), _Step("upsert", files[1]), _Step("delsert", files[0]))
    for step in steps:
        yield from _services_in_turn(installed, step, processors)


def _services_in_turn(
    installed: Installation, step: _Step, processors: int
) -> Generator[tuple[str, float]]:
    begin = time.perf_counter()
    job_id = installed.client.upload(step.file, step.mode)
    received = time.perf_counter()
    _wait_sealed(installed.settings, int(job_id))
    published = time.perf_counter()
    if step.mode == "insert":
        yield "receive (upload to answer)", received - begin
        yield "publish (answer to last seal)", published - received
        yield "consume and decode", _consume_and_decode(installed.settings)
    installed.checkpoint()
    installed.start_processors(processors)
    installed.client.wait_ended(job_id, poll_s=_POLL_S)
    installed.stop_processors()
    yield f"project, {step.mode}", _projected_s(installed.settings, int(job_id))


def _parse_and_check(file: Path) -> float:
    begin = time.perf_counter()
    with file.open("rb") as readable:
        survey(readable, FileFormat())
    return time.perf_counter() - begin


def _encode(file: Path, accepted: JobAccepted, settings: Settings) -> float:
    begin = time.perf_counter()
    with file.open("rb") as readable:
        for _ in FilePass(readable, accepted, settings.topics.user_events.partitions).blocks():
            pass
    return time.perf_counter() - begin


def _accepted(file: Path) -> JobAccepted:
    """What a pass needs to know of a file that was never uploaded."""
    return JobAccepted(
        job_id=1,
        attempt="",
        mode="insert",
        delimiter=DELIMITERS["COMMA"],
        charset="utf-8",
        compression="none",
        blank_cells="keep",
        reconciliation_key="email",
        rules_version=RULES_VERSION,
        accepted_at=datetime.now(UTC),
        accepted_by="admin",
        file_name=file.name,
        size_bytes=file.stat().st_size,
        sha256="",
        lines=0,
        rejected_lines=0,
        chunks=ChunkRange(partition=0, first_offset=0, last_offset=0, count=0),
    )


def _consume_and_decode(settings: Settings) -> float:
    topic = settings.topics.user_events
    begin = time.perf_counter()
    consumer = _consumer(settings)
    try:
        with rare_collections():
            for partition in range(topic.partitions):
                place = LogPartition.in_log(settings, partition)
                _decode_partition(consumer, topic.name, place)
    finally:
        consumer.close()
    return time.perf_counter() - begin


def _decode_partition(consumer: Consumer, topic: str, place: LogPartition) -> None:
    at, end = consumer.get_watermark_offsets(
        TopicPartition(topic, place.number), timeout=_TIMEOUT_S
    )
    consumer.assign([TopicPartition(topic, place.number, at)])
    while at < end:
        records: list[Message] = consumer.consume(min(_BATCH_RECORDS, end - at), _TIMEOUT_S)
        at = decode_records(records, place).next_offset


def _wait_sealed(settings: Settings, job_id: int) -> None:
    """Returns once the last record of every partition seals the job.

    Meanwhile it says in the processors' stead that they have come so far, or the publisher would
    wait for them; where they go on from is what the tables say.

    Raises:
        TimeoutError: It was not published in time.
    """
    topic = settings.topics.user_events
    lag = ConsumerLag(settings.kafka, topic, settings.group)
    deadline = time.monotonic() + _PUBLISH_TIMEOUT_S
    with closing(_consumer(settings)) as consumer, closing(_processors(settings)) as processors:
        for partition in range(topic.partitions):
            place = TopicPartition(topic.name, partition)
            while not _is_sealed(consumer, place, job_id):
                if time.monotonic() > deadline:
                    message = f"job {job_id} was not published in {_PUBLISH_TIMEOUT_S} s"
                    raise TimeoutError(message)
                ends = [TopicPartition(topic.name, *end) for end in enumerate(lag.ends())]
                processors.commit(offsets=ends, asynchronous=False)
                time.sleep(_POLL_S)


def _is_sealed(consumer: Consumer, place: TopicPartition, job_id: int) -> bool:
    _, end = consumer.get_watermark_offsets(place, timeout=_TIMEOUT_S)
    if end == 0:
        return False
    consumer.assign([TopicPartition(place.topic, place.partition, end - 1)])
    last = consumer.poll(_TIMEOUT_S)
    event = None if last is None or last.error() else codec.decode(last.value())
    return isinstance(event, JobSealed) and event.job_id == job_id


def _processors(settings: Settings) -> Consumer:
    return Consumer({**settings.kafka, "group.id": settings.group})


def _consumer(settings: Settings) -> Consumer:
    return Consumer(
        {
            **settings.kafka,
            "group.id": "bench",
            "enable.auto.commit": False,
            "fetch.wait.max.ms": 20,
        }
    )


def _projected_s(settings: Settings, job_id: int) -> float:
    """From the job's first transaction to its last, by Postgres' clock."""
    query = "SELECT extract(epoch FROM finished_at - started_at) AS s FROM jobs WHERE job_id = %s"
    with psycopg.connect(settings.database_url) as connection:
        row: Any = connection.cursor(row_factory=dict_row).execute(query, [job_id]).fetchone()
    return float(row["s"])
