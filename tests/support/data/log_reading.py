"""What stands in the log, read from its beginning to its end."""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING

from confluent_kafka import Consumer, KafkaException, TopicPartition

from schemas.codec import codec, framing
from schemas.events import (
    JobAccepted,
    JobCancelled,
    JobFailed,
    JobOpened,
    JobRestored,
    JobReverted,
    JobSealed,
    JobStatus,
    JobVoided,
    UndoQueued,
)
from schemas.log.reverts import ChangeEvent, Revert

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from confluent_kafka import Message

    from schemas.config.settings import Settings
    from schemas.events import Event
    from schemas.log.topics import Topic

_TIMEOUT_S = 60


def read_topic(settings: Settings, topic: Topic) -> list[list[Message]]:
    """Every record, by partition, up to the end as it is now."""
    consumer = Consumer(
        {**settings.kafka, "group.id": "unused", "enable.auto.commit": False, "log_level": 0}
    )
    try:
        return [
            _read_partition(consumer, topic.name, partition)
            for partition in range(topic.partitions)
        ]
    finally:
        consumer.close()


def end_of(settings: Settings, topic: Topic) -> int:
    """How many records the topic holds, over all partitions; 0 where it is not there yet."""
    with end_reader(settings, topic) as end:
        return end()


@contextlib.contextmanager
def end_reader(settings: Settings, topic: Topic) -> Generator[Callable[[], int]]:
    """Says the same whenever it is called, by one client."""
    consumer = Consumer({**settings.kafka, "group.id": "unused", "log_level": 0})
    places = [TopicPartition(topic.name, partition) for partition in range(topic.partitions)]

    def end() -> int:
        try:
            return sum(consumer.get_watermark_offsets(place, _TIMEOUT_S)[1] for place in places)
        except KafkaException:
            return 0

    try:
        yield end
    finally:
        consumer.close()


def _bounds(consumer: Consumer, place: TopicPartition) -> tuple[int, int]:
    """The first offset and the end; a broker that has just started may not lead yet."""
    deadline = time.monotonic() + _TIMEOUT_S
    while True:
        try:
            return consumer.get_watermark_offsets(place, timeout=_TIMEOUT_S)
        except KafkaException:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)


def _read_partition(consumer: Consumer, topic: str, partition: int) -> list[Message]:
    place = TopicPartition(topic, partition)
    begin, end = _bounds(consumer, place)
    records: list[Message] = []
    consumer.assign([TopicPartition(topic, partition, begin)])
    deadline = time.monotonic() + _TIMEOUT_S
    while begin < end:
        # It would wait for as many as asked, so only so many are asked as there can be.
        batch = consumer.consume(min(10_000, end - begin), timeout=0.5)
        assert time.monotonic() < deadline, f"{topic} [{partition}] stands at {begin} of {end}"
        for record in batch:
            error = record.error()
            assert error is None, error
        records += batch
        begin = (records[-1].offset() or 0) + 1 if records else begin
    consumer.unassign()
    return records


def accepted_jobs(settings: Settings) -> list[JobAccepted]:
    """The jobs, in the order of ``job-events``: the first acceptance of an id counts, if any."""
    jobs: dict[int, JobAccepted] = {}
    voided: set[tuple[int, str]] = set()
    for record in read_topic(settings, settings.topics.job_events)[0]:
        event = codec.decode(record.value())
        if isinstance(event, JobVoided):
            voided.add((event.job_id, event.attempt))
        if isinstance(event, JobAccepted) and (event.job_id, event.attempt) not in voided:
            jobs.setdefault(event.job_id, event)
    return list(jobs.values())


def reverted_jobs(settings: Settings) -> set[int]:
    """The jobs that ``job-events`` says are reverted now; attempts that were voided don't count."""
    known = {job.job_id for job in accepted_jobs(settings)}
    reverted: set[int] = set()
    cancelled: set[int] = set()
    for event in _changes(settings):
        is_cancelled = isinstance(event, JobCancelled) and event.job_id not in reverted
        if is_cancelled or isinstance(event, JobFailed):
            cancelled.add(event.job_id)
        elif isinstance(event, JobReverted):
            reverted.add(event.job_id)
        elif isinstance(event, JobRestored):
            reverted.discard(event.job_id)
    return (reverted | cancelled) & known


def undos_to_come(settings: Settings) -> set[int]:
    """The jobs whose undo is queued, and has not begun."""
    changes = _changes(settings)
    queued = {event.job_id for event in changes if isinstance(event, UndoQueued)}
    begun = {event.job_id for event in changes if isinstance(event, Revert)}
    return queued - begun


def _changes(settings: Settings) -> list[ChangeEvent]:
    """What asks for a change of a job, but for attempts that were voided."""
    voided: set[str] = set()
    found: list[ChangeEvent] = []
    for record in read_topic(settings, settings.topics.job_events)[0]:
        event = codec.decode(record.value())
        if isinstance(event, JobVoided):
            voided.add(event.attempt)
        elif isinstance(event, ChangeEvent):
            found += [event] if event.attempt not in voided else []
    return found


def control_events(settings: Settings) -> list[list[JobOpened | JobSealed]]:
    """The brackets of every pass, by partition of ``user-events``."""
    found: list[list[JobOpened | JobSealed]] = []
    for records in read_topic(settings, settings.topics.user_events):
        values = [record.value() or b"" for record in records]
        events = [codec.decode(value) for value in values if _is_bracket(value)]
        found.append([event for event in events if isinstance(event, JobOpened | JobSealed)])
    return found


def _is_bracket(value: bytes) -> bool:
    found = framing.type_of(value)
    return found is not None and found[0] in {JobOpened, JobSealed}


def last_statuses(settings: Settings) -> dict[int, JobStatus]:
    """The latest status snapshot of each job."""
    latest: dict[int, JobStatus] = {}
    for records in read_topic(settings, settings.topics.job_status):
        for event in map(_decoded, records):
            known = latest.get(event.job_id)
            if known is None or known.version < event.version:
                latest[event.job_id] = event
    return latest


def _decoded(record: Message) -> JobStatus:
    event: Event = codec.decode(record.value())
    assert isinstance(event, JobStatus)
    return event
