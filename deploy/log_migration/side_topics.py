"""Copies the side topics of a log: `job-events`, `job-status` and the dead letters."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from deploy.log_migration.records import RecordWriter, is_signed, read_records, signed
from deploy.log_migration.retried_dead_letters import RetriedDeadLetters
from schemas.codec.codec import UndecodableError, decode, encode
from schemas.events import JobAccepted, LogConfigured
from schemas.log.digests import SignedRecords
from schemas.log.moves import LogMoves

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from deploy.log_migration.engine import Log
    from deploy.log_migration.erase.data_subject import DataSubject
    from deploy.log_migration.records import CopiedRecord
    from schemas.config.settings import Settings

    Batches = Iterable[list[CopiedRecord]]
    Rewrite = Callable[[int, Batches], Batches]
    """Turns a partition's records, in batches, into those of the new topic."""


def copy_side_topics(log: Log, subject: DataSubject | None) -> int:
    """Copy the side topics without the data subject's dead letters; return how many were left out.

    All records are acknowledged on return, and retried dead letters stay marked as retried.
    """
    dead_letters = _DeadLetters(log, subject)
    _copy(log, "job_events", JobEventsCopy(log.old, log.new).rewritten)
    _copy(log, "job_status", _last_of_each)
    _copy(log, "dead_letters", dead_letters.rewritten)
    dead_letters.retried.carry()
    return dead_letters.left_out


def _copy(log: Log, part: str, rewrite: Rewrite) -> None:
    old, new = (settings.topics.by_part()[part] for settings in (log.old, log.new))
    writer = RecordWriter(log.new.kafka, new)
    for partition, (begin, end) in enumerate(log.admin.bounds(old)):
        batches = read_records(log.old, old.name, partition, begin, end)
        for records in rewrite(partition, batches):
            writer.write(partition, records)
    writer.flush()


class JobEventsCopy:
    """Copies the records that count, in order; those appended while the log was held do not.

    Events that name the reconciliation key get that of the new log.
    A digest is of the topic, too: a record that had a right one is signed anew, and no other.
    """

    def __init__(self, old: Settings, new: Settings) -> None:
        self._moves = LogMoves()
        self._keyring = new.keyring
        self._topics = old.topics.job_events.name, new.topics.job_events.name
        self._signed = SignedRecords(self._keyring, self._topics[0])
        self._new_key = new.reconciliation_key
        self._has_other_key = self._new_key != old.reconciliation_key

    def rewritten(self, _partition: int, batches: Batches) -> Iterator[list[CopiedRecord]]:
        """Yield the records of the new topic for those of the old one."""
        for records in batches:
            yield [self._rewritten(record) for record in records if self._counts(record)]

    def _rewritten(self, record: CopiedRecord) -> CopiedRecord:
        keyring, (old, new) = self._keyring, self._topics
        return signed(
            self._rekeyed(record), keyring if is_signed(record, keyring, old) else None, new
        )

    def _counts(self, record: CopiedRecord) -> bool:
        is_right = self._signed.is_right(record.key(), record.value(), record.headers())
        if self._signed.is_required and not is_right:
            return False
        try:
            event = decode(record.value())
        except UndecodableError:
            return False  # every reader skips it
        self._signed.note(event, is_right=is_right)
        return self._moves.apply(event)

    def _rekeyed(self, record: CopiedRecord) -> CopiedRecord:
        event = decode(record.value()) if self._has_other_key else None
        if not isinstance(event, LogConfigured | JobAccepted):
            return record
        return replace(
            record, record_value=encode(replace(event, reconciliation_key=self._new_key))
        )


def _last_of_each(_partition: int, batches: Batches) -> Batches:
    """Keep the last snapshot of each job, as compaction would."""
    last = {record.key(): record for records in batches for record in records}
    return [list(last.values())]


class _DeadLetters:
    """Copies all dead letters but the data subject's."""

    def __init__(self, log: Log, subject: DataSubject | None) -> None:
        topics = (log.old.topics.dead_letters.name, log.new.topics.dead_letters.name)
        self.retried = RetriedDeadLetters(log.connection, *topics)
        self.left_out = 0
        self._subject = subject

    def rewritten(self, partition: int, batches: Batches) -> Iterator[list[CopiedRecord]]:
        written = 0
        for records in batches:
            kept = [record for record in records if not self._is_theirs(record)]
            self.left_out += len(records) - len(kept)
            for new_offset, record in enumerate(kept, start=written):
                self.retried.note(partition, record.offset(), new_offset)
            written += len(kept)
            yield kept

    def _is_theirs(self, record: CopiedRecord) -> bool:
        return self._subject is not None and self._subject.owns(record)
