"""Writes `user-events` of the next version, and reads it back to check it."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from deploy.log_migration import MoveFailedError, MoveRefusedError
from deploy.log_migration.records import RecordWriter, is_signed, read_records, signed
from processor.decoding.accept_rule import PartitionState
from processor.decoding.decode_and_accept import begun, decode_and_accept
from processor.decoding.producer_rules import LogPartition

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from deploy.log_migration.records import CopiedRecord
    from processor.decoding.accept_rule import Accepted
    from processor.decoding.batch import Batch
    from schemas.config.settings import Settings

    CheckCopied = Callable[[int, Sequence[CopiedRecord]], None]


class CountedPartition:
    """Finds which records of a partition count, by the projection's own accept rule."""

    def __init__(self, settings: Settings, partition: int) -> None:
        self._settings = settings
        self._place = LogPartition.in_log(settings, partition)
        self._begun: set[int] = set()
        self.state = PartitionState(partition)

    def batches(self, end: int) -> Iterator[list[CopiedRecord]]:
        """Yield the records from the last one taken up to this offset.

        Raises:
            MoveFailedError: Kafka did not deliver one.
        """
        partition, begin = self.state.partition, self.state.next_offset
        topic = self._settings.topics.user_events.name
        return (
            read_records(self._settings, topic, partition, begin, end) if begin < end else iter(())
        )

    def decode_and_accept(self, records: Sequence[CopiedRecord]) -> tuple[Batch, Accepted]:
        """Return which of the next records count, without taking them."""
        return decode_and_accept(records, self._place, self.state, known=self._begun)

    def signed(self, record: CopiedRecord) -> CopiedRecord:
        """Return a record made for this log, with a digest where there is a key."""
        return signed(record, self._settings.keyring, self._place.topic)

    def is_signed(self, record: CopiedRecord) -> bool:
        """Return whether the record has a right digest."""
        return is_signed(record, self._settings.keyring, self._place.topic)

    def take(self, records: Sequence[CopiedRecord]) -> tuple[Batch, Accepted]:
        """Return which of the next records count, and advance past them.

        Raises:
            MoveRefusedError: a job's rows are not what its seal says.
        """
        batch, accepted = self.decode_and_accept(records)
        if accepted.corrupt:
            raise MoveRefusedError(
                f"partition {self.state.partition}: the rows of job {accepted.corrupt[0]} are not"
                " those that its seal was made for: the log itself is damaged"
            )
        self.state = accepted.state
        self._begun.update(begun(accepted))
        return batch, accepted


class LogCopy:
    """Appends to the next version of `user-events`, each record at the next offset."""

    def __init__(self, settings: Settings) -> None:
        """``settings`` are those of the next version."""
        self._settings = settings
        topic = settings.topics.user_events
        self.topic = topic.name
        self._writer = RecordWriter(settings.kafka, topic)
        self._checksums = [_checksum() for _ in range(topic.partitions)]
        self.next_offsets = [0] * topic.partitions

    def signed(self, record: CopiedRecord) -> CopiedRecord:
        """Return the record with a digest by which it counts in the copy, where there is a key."""
        return signed(record, self._settings.keyring, self.topic)

    def unsigned(self, record: CopiedRecord) -> CopiedRecord:
        """Return the record without any digest."""
        return signed(record, None, self.topic) if record.headers() else record

    def append(self, partition: int, records: Sequence[CopiedRecord]) -> None:
        """Queue these records for the next offsets of a partition."""
        for record in records:
            _add(self._checksums[partition], record)
        self.next_offsets[partition] += len(records)
        self._writer.write(partition, records)

    def flush(self) -> None:
        """Wait until all records are acknowledged.

        Raises:
            MoveFailedError: some are not.
        """
        self._writer.flush()

    def check(self, check_copied: CheckCopied) -> None:
        """Check that the topic holds what was appended, no more; give ``check_copied`` each batch.

        Raises:
            MoveFailedError: it does not.
        """
        for partition, end in enumerate(self.next_offsets):
            checksum = _checksum()
            for records in read_records(self._settings, self.topic, partition, 0, end):
                for record in records:
                    _add(checksum, record)
                check_copied(partition, records)
            if checksum.digest() != self._checksums[partition].digest():
                raise MoveFailedError(
                    f"{self.topic}, partition {partition} is not what was written to it"
                )


def _checksum() -> hashlib.blake2b:
    return hashlib.blake2b(digest_size=16)


def _add(checksum: hashlib.blake2b, record: CopiedRecord) -> None:
    """Add everything that a reader of the log sees of a record."""
    whole = (record.offset(), record.key(), record.timestamp_ms, record.value(), record.headers())
    checksum.update(repr(whole).encode())
