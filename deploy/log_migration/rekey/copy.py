"""Writes `user-events` anew to other partitions, job by job.

Only records that count are written; dead letters stay dead letters.  Sequences, digests,
openings and seals of jobs are made anew for each new partition; times stay.
Users' ids are log positions, so they change, and a write that names one gets the new
one: for that the new position of every row is kept in memory, eight bytes each.
"""

from __future__ import annotations

import zlib
from array import array
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from deploy.log_migration import MoveRefusedError
from deploy.log_migration.rekey.job_order import PartitionReader, brackets, in_order
from schemas.codec.codec import UndecodableError, decode, encode
from schemas.events import (
    AttributeDefined,
    JobSealed,
    LogConfigured,
    RowErased,
    RowRejected,
    UserRow,
)
from schemas.log.positions import place_of, position_of
from schemas.log.topics import partition_of, partition_of_number

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from deploy.log_migration.log_copy import LogCopy
    from deploy.log_migration.records import CopiedRecord
    from deploy.log_migration.rekey.job_order import CountedRecord
    from schemas.config.settings import Settings
    from schemas.events import Event

_NOBODY: Final = 0
"""No user has this id."""
_NO_NAME: Final = ""
"""No attribute has it."""


@dataclass(slots=True)
class NewPartition:
    """The open job's rows in a new partition."""

    sequence: int = 0
    digest: int = 0


class RekeyingCopy:
    """Copies the log job by job, in steps, each up to the given end offsets."""

    def __init__(
        self,
        old: Settings,
        copy: LogCopy,
        new_key: Callable[[str], str] | None,
        *,
        forgets_opt_outs: bool = False,
    ) -> None:
        """``new_key`` returns the new key of an old one; None where keys stay.

        ``forgets_opt_outs``: of people whose data has been erased, if keys change.
        """
        self._copy = copy
        self._keeps_keys = new_key is None
        self._forgets_opt_outs = forgets_opt_outs
        self._new_key: Callable[[str], str] = new_key or str
        self._readers = [
            PartitionReader(old, number) for number in range(old.topics.user_events.partitions)
        ]
        self._new = [NewPartition() for _ in copy.next_offsets]
        self._positions = [array("q") for _ in self._readers]
        self._appended: set[str] = set()
        self._jobs = 0

    def copy_jobs(self, ends: Sequence[int], jobs: int) -> None:
        """Copy up to the end of the first ``jobs`` jobs, and wait until all is acknowledged.

        They stand before these offsets in every partition.

        Raises:
            MoveFailedError: Kafka did not deliver or accept a record.
            MoveRefusedError: the old log is damaged, or has what can't be moved.
        """
        self._read_up_to(ends)
        while self._jobs < jobs:
            self._write_all(self._section())
            self._open(brackets(self._readers))
            self._write_all(self._section())
            self._seal(brackets(self._readers))
            self._jobs += 1
        self._copy.flush()

    def copy_rest(self, ends: Sequence[int]) -> None:
        """Copy what follows the last job, up to these offsets."""
        self._read_up_to(ends)
        self._write_all(self._section())
        self._copy.flush()

    def _read_up_to(self, ends: Sequence[int]) -> None:
        for reader, end in zip(self._readers, ends, strict=True):
            reader.read_up_to(end)

    def _section(self) -> Iterable[CountedRecord]:
        return in_order([reader.section() for reader in self._readers])

    def _open(self, opened: Sequence[CountedRecord]) -> None:
        """Append the opening to every partition, with the earliest of its times."""
        first = min(opened, key=lambda one: one.record.timestamp_ms)
        for at, partition in enumerate(self._new):
            partition.sequence = partition.digest = 0
            self._append(at, self._copy.signed(first.record))

    def _seal(self, sealed: Sequence[CountedRecord]) -> None:
        """Append the seals, with the latest of their times: then the job was whole."""
        last = max(sealed, key=lambda one: one.record.timestamp_ms)
        assert isinstance(last.event, JobSealed), "the reader tells openings from seals"
        is_abandoned = any(isinstance(each.event, JobSealed) and each.event.is_abandoned
                           for each in sealed)  # fmt: skip
        for at, partition in enumerate(self._new):
            seal = replace(
                last.event,
                rows=partition.sequence,
                digest=partition.digest,
                is_abandoned=is_abandoned,
            )
            sealed_here = replace(last.record, record_value=encode(seal))
            self._append(at, self._copy.signed(sealed_here))

    def _write_all(self, section: Iterable[CountedRecord]) -> None:
        for counted in section:
            self._write(counted)

    def _write(self, counted: CountedRecord) -> None:
        match counted.event:
            case None:
                dead = _still_dead(self._copy.unsigned(counted.record))
                self._append(counted.partition % len(self._new), dead)
            case AttributeDefined(name=name):
                self._append_once(name, counted.record)
            case LogConfigured():
                self._append_once(_NO_NAME, counted.record)
            case UserRow(job_id=None) as row:
                self._write_single(counted, row)
            case UserRow() as row:
                key = self._new_key(row.key).encode()
                moved = replace(row, key=key.decode())
                self._write_line(counted, moved, key, partition_of(key, len(self._new)))
            case RowErased() as erased:
                self._write_erased(counted, self._moved(erased))
            case RowRejected() as line:
                key = counted.record.key() or b""
                self._write_line(counted, line, key, partition_of(key, len(self._new)))
            case other:
                raise AssertionError(f"{type(other).__name__} never counts in a section")

    def _append_once(self, name: str, record: CopiedRecord) -> None:
        """Append it to every partition once the first has it: before all that it concerns.

        ``name`` is the attribute's that it defines.
        """
        if name not in self._appended:
            self._appended.add(name)
            for at in range(len(self._new)):
                self._append(at, self._copy.signed(record))

    def _moved(self, erased: RowErased) -> RowErased:
        """Return it for the new log, where a hash of an old key means nothing if keys change."""
        if self._keeps_keys:
            return erased
        if erased.opt_outs and not self._forgets_opt_outs:
            raise MoveRefusedError(
                "Somebody whose data has been erased has opted out: that is known by a hash of the"
                " old key, and would be lost with another key. With --forget-erased it is."
            )
        return replace(erased, key_hash=None, key_number=0, opt_outs=0)

    def _write_erased(self, counted: CountedRecord, erased: RowErased) -> None:
        """Append it to the partition of the key whose opt-outs it says, if any."""
        key = counted.record.key() or b""
        at = partition_of(key, len(self._new))
        if erased.key_hash is not None:
            at = partition_of_number(erased.key_number, len(self._new))
        if erased.job_id is not None:
            self._write_line(counted, erased, key, at)
        elif erased.key_hash is not None:
            self._append(at, self._copy.signed(counted.record))

    def _write_line(
        self,
        counted: CountedRecord,
        event: UserRow | RowRejected | RowErased,
        key: bytes,
        at: int,
    ) -> None:
        partition = self._new[at]
        value = encode(replace(event, sequence=partition.sequence))
        partition.sequence += 1
        partition.digest = zlib.crc32(value, partition.digest)
        self._remember(counted, at)
        record = replace(counted.record, record_key=key, record_value=value)
        is_control = isinstance(event, RowErased)
        self._append(at, self._copy.signed(record) if is_control else self._copy.unsigned(record))

    def _write_single(self, counted: CountedRecord, row: UserRow) -> None:
        """Append a producer row, or a write of the API."""
        changed = replace(row, key=self._new_key(row.key), user_id=self._new_id(row.user_id))
        record = counted.record
        key = changed.key.encode()
        if changed != row:
            record = replace(record, record_key=key, record_value=encode(changed))
        at = partition_of(key, len(self._new))
        self._remember(counted, at)
        self._append(at, self._copy.unsigned(record))

    def _remember(self, counted: CountedRecord, at: int) -> None:
        positions, offset = self._positions[counted.partition], counted.record.offset()
        positions.extend([_NOBODY] * (offset - len(positions)))
        positions.append(position_of(at, self._copy.next_offsets[at]))

    def _new_id(self, old: int | None) -> int | None:
        """Return a user's id in the copy; an id that nobody has becomes another such."""
        if old is None:
            return None
        partition, offset = place_of(old)
        if not (0 <= partition < len(self._positions) and offset >= 0):
            return _NOBODY
        positions = self._positions[partition]
        return positions[offset] if offset < len(positions) else _NOBODY

    def _append(self, at: int, record: CopiedRecord) -> None:
        self._copy.append(at, [replace(record, record_offset=self._copy.next_offsets[at])])


def _still_dead(record: CopiedRecord) -> CopiedRecord:
    """Return the record such that it stays refused in any partition and order: without its key."""
    try:
        event: Event | None = decode(record.value())
    except UndecodableError:
        event = None
    return replace(record, record_key=None) if isinstance(event, UserRow) else record
