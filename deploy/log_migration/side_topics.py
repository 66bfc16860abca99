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
    from collections.abc import Callable, Iterable, Iterator

    from deploy.log_migration.engine import Log
    from deploy.log_migration.erase.data_subject import Person
    from deploy.log_migration.records import CopiedRecord

    Batches = Iterable[list[CopiedRecord]]
    Rewrite = Callable[[int, Batches], Batches]
    """Makes of a partition's records, in batches, those of the new topic."""


def copy_side_topics(log: Log, person: Person | None) -> int:
    """All is acknowledged on return; how many dead letters, which were the person's, were left out.

    Dead letters that were retried are known as such in the new topic, which was empty.
    """
    letters = _Letters(log, person)
    _copy(log, "job_events", _JobEvents(log).rewritten)
    _copy(log, "job_status", _last_of_each)
    _copy(log, "dead_letters", letters.rewritten)
    letters.retried.carry()
    return letters.left_out


def _copy(log: Log, part: str, rewrite: Rewrite) -> None:
    old, new = (settings.topics.by_part()[part] for settings in (log.old, log.new))
    writer = RecordWriter(log.new.kafka, new)
    for partition, (begin, end) in enumerate(log.admin.bounds(old)):
        batches = read_records(log.old, old.name, partition, begin, end)
        for records in rewrite(partition, batches):
            writer.write(partition, records)
    writer.flush()


class _JobEvents:
    """Every record that counts, in its order; what was said while the log was held does not.

    What says the reconciliation key says that of the new log.
    """

    def __init__(self, log: Log) -> None:
        self._moves = LogMoves()
        self._new_key = log.new.reconciliation_key
        self._has_other_key = self._new_key != log.old.reconciliation_key

    def rewritten(self, _partition: int, batches: Batches) -> Iterator[list[CopiedRecord]]:
        for records in batches:
            yield [self._rekeyed(record) for record in records if self._counts(record)]

    def _counts(self, record: CopiedRecord) -> bool:
        try:
            return self._moves.apply(decode(record.value()))
        except UndecodableError:
            return False  # every reader skips it

    def _rekeyed(self, record: CopiedRecord) -> CopiedRecord:
        event = decode(record.value()) if self._has_other_key else None
        if not isinstance(event, LogConfigured | JobAccepted):
            return record
        return replace(
            record, record_value=encode(replace(event, reconciliation_key=self._new_key))
        )


def _last_of_each(_partition: int, batches: Batches) -> Batches:
    """The last snapshot of each job, as compaction would leave it."""
    last = {record.key(): record for records in batches for record in records}
    return [list(last.values())]


class _Letters:
    """All dead letters but the person's."""

    def __init__(self, log: Log, person: Person | None) -> None:
        topics = (log.old.topics.dead_letters.name, log.new.topics.dead_letters.name)
        self.retried = RetriedLetters(log.connection, *topics)
        self.left_out = 0
        self._person = person

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
        return self._person is not None and self._person.owns(record)
