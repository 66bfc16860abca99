"""The smaller topics of a log in their new version: all but `user-events` and `uploads`."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from deploy.log_migration.records import RecordWriter, read_records
from deploy.log_migration.retried_letters import RetriedLetters
from schemas.codec.codec import UndecodableError, decode, encode
from schemas.events import JobAccepted, LogConfigured
from schemas.log.moves import LogMoves

if TYPE_CHECKING:
    from deploy.log_migration.engine import Log
    from deploy.log_migration.erase.data_subject import Person
    from deploy.log_migration.records import CopiedRecord
    from deploy.log_migration.topic_admin import TopicAdmin
    from schemas.config.settings import Settings
    from schemas.log.topics import Topic


def copy_job_events(admin: TopicAdmin, old: Settings, new: Settings) -> None:
    """Every record that counts, in its order; what was said while the log was held does not.

    What says the reconciliation key says that of the new log.
    """
    moves = LogMoves()
    writer = RecordWriter(new.kafka, new.topics.job_events)
    for records in _read(admin, old, old.topics.job_events, 0):
        counted = [record for record in records if _counts(moves, record)]
        if old.reconciliation_key != new.reconciliation_key:
            counted = [_for_key(record, new.reconciliation_key) for record in counted]
        writer.write(0, counted)
    writer.flush()


def _counts(moves: LogMoves, record: CopiedRecord) -> bool:
    try:
        return moves.apply(decode(record.value()))
    except UndecodableError:
        return False  # every reader skips it


def _for_key(record: CopiedRecord, key: str) -> CopiedRecord:
    event = decode(record.value())
    if not isinstance(event, LogConfigured | JobAccepted):
        return record
    return replace(record, record_value=encode(replace(event, reconciliation_key=key)))


def copy_last_statuses(admin: TopicAdmin, old: Settings, new: Settings) -> None:
    """The last snapshot of each job, as compaction would leave it."""
    writer = RecordWriter(new.kafka, new.topics.job_status)
    for partition in range(admin.partitions(old.topics.job_status)):
        last: dict[bytes | None, CopiedRecord] = {}
        for records in _read(admin, old, old.topics.job_status, partition):
            last |= {record.key(): record for record in records}
        writer.write(partition, list(last.values()))
    writer.flush()


def copy_dead_letters(log: Log, person: Person | None = None) -> int:
    """All but the person's; how many were left out.

    Those that were retried are known as such in the new topic, which was empty.
    """
    left_out = 0
    old, new = log.old.topics.dead_letters, log.new.topics.dead_letters
    retried = RetriedLetters(log.connection, old.name, new.name)
    writer = RecordWriter(log.new.kafka, new)
    for partition in range(log.admin.partitions(old)):
        written = 0
        for records in _read(log.admin, log.old, old, partition):
            kept = [record for record in records if not (person and person.owns(record))]
            left_out += len(records) - len(kept)
            writer.write(partition, kept)
            for new_offset, record in enumerate(kept, start=written):
                retried.note(partition, record.offset(), new_offset)
            written += len(kept)
    writer.flush()
    retried.carry()
    return left_out


def _read(admin: TopicAdmin, old: Settings, topic: Topic, partition: int):
    begin, end = admin.bounds(topic)[partition]
    return read_records(old, topic.name, partition, begin, end)
