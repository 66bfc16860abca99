"""`user-events` copied, offset by offset, with a placeholder for each of a person's records.

Offsets stay, because users' ids are made of them.  A placeholder has its row's
place in its job's sequence and says what became of it, so that a job's counts
stay; the digest in the job's seal is made anew.
Whether a record counts is decided by the projection's own accept rule, asked of
the copy.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final, TypeGuard

from deploy.log_migration.log_copy import CountedPartition
from deploy.log_migration.records import CopiedRecord
from processor.decoding.accept_rule import Erased, Opened, Sealed
from schemas.codec.codec import UndecodableError, decode, encode, type_of
from schemas.events import (
    AttributeDefined,
    JobSealed,
    RowErased,
    RowRejected,
    UserRow,
)
from schemas.log.passes import is_misattributed
from schemas.log.storable import misfit

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from deploy.log_migration.erase.data_subject import Person
    from deploy.log_migration.erase.outcomes import Outcomes
    from deploy.log_migration.log_copy import LogCopy
    from processor.decoding.accept_rule import Accepted
    from processor.decoding.batch import Batch
    from schemas.config.settings import Settings
    from schemas.events import ErasedOutcome, Event

_NO_LINE: Final = b"erased"
"""The key of a placeholder that is no job's line."""
_NOTHING: Final = RowErased(
    job_id=None, record_number=None, line=None, sequence=None, outcome="none"
)


class _Partition(CountedPartition):
    """A partition of the copy; ``touched_job_id``: the open job, where it has placeholders."""

    touched_job_id: int | None = None


@dataclass(slots=True)
class Erasure:
    """What has been taken out so far: records, among them lines of jobs, each once.

    ``mentions`` are partitions and offsets of records of others that say the key.
    """

    records: int = 0
    lines: list[RowErased] = field(default_factory=list[RowErased])
    mentions: list[tuple[int, int]] = field(default_factory=list[tuple[int, int]])


class ErasingCopy:
    """Copies all partitions, from where it is up to given ends, again and again."""

    def __init__(self, old: Settings, *, person: Person, outcomes: Outcomes, copy: LogCopy) -> None:
        """``outcomes`` are of the partition of the person's key."""
        self._person = person
        self._outcomes = outcomes
        self._copy = copy
        self._partitions = [
            _Partition(old, number) for number in range(old.topics.user_events.partitions)
        ]
        self.erasure = Erasure()

    def copy_up_to(self, ends: Sequence[int]) -> None:
        """The copy holds on return, acknowledged, all that comes before these offsets.

        Raises:
            MoveFailedError: Kafka did not give or take a record.
            MoveRefusedError: a job's rows are not what its seal says.
        """
        for partition, end in zip(self._partitions, ends, strict=True):
            for records in partition.batches(end):
                self._write(partition, _without_holes(records, partition.state.next_offset))
            self._write(partition, _without_holes([], partition.state.next_offset, end))
        self._copy.flush()

    def _write(self, partition: _Partition, records: list[CopiedRecord]) -> None:
        if not records:
            return
        is_touched = partition.touched_job_id is not None
        if is_touched or self._person.is_hinted(*records):
            parts = _up_to_seals(records)
            records = [record for part in parts for record in self._copied_part(partition, part)]
        else:
            self._tell(partition, records, {}, partition.take(records))
        self._copy.append(partition.state.partition, records)

    def _copied_part(self, partition: _Partition, part: list[CopiedRecord]) -> list[CopiedRecord]:
        """Records of which none but the last seals a job, as they are to stand in the copy."""
        seal = _seal(part[-1])
        body = part[:-1] if seal else part
        written = self._without_person(partition, body) if body else []
        if seal:
            record = part[-1]
            if seal.job_id == partition.state.open_job_id == partition.touched_job_id:
                value = encode(replace(seal, digest=partition.state.digest))
                record = replace(record, record_value=value)
            self._tell(partition, [record], {}, partition.take([record]))
            written.append(record)
        if partition.state.open_job_id != partition.touched_job_id:
            partition.touched_job_id = None
        return written

    def _without_person(
        self, partition: _Partition, records: list[CopiedRecord]
    ) -> list[CopiedRecord]:
        theirs = {record.offset(): record for record in records if self._person.owns(record)}
        number = partition.state.partition
        self.erasure.mentions += [
            (number, record.offset())
            for record in records
            if record.offset() not in theirs and self._person.is_mentioned(record)
        ]
        # Which of them count does not depend on what became of them, only the digest does.
        blank = [_placeholder(theirs.get(record.offset()), record, "none") for record in records]
        outcomes = self._tell(partition, blank, theirs, partition.judge(blank))
        written = [
            _placeholder(theirs.get(record.offset()), record, outcomes.get(record.offset(), "none"))
            for record in records
        ]
        _, accepted = partition.take(written)
        counted = [step.row for step in accepted.steps if isinstance(step, Erased)]
        self.erasure.lines += counted
        self.erasure.records += len(theirs)
        if any(row.job_id == partition.state.open_job_id for row in counted):
            partition.touched_job_id = partition.state.open_job_id
        return written

    def _tell(
        self,
        partition: _Partition,
        records: list[CopiedRecord],
        theirs: Mapping[int, CopiedRecord],
        judged: tuple[Batch, Accepted],
    ) -> dict[int, ErasedOutcome]:
        """What became of the person's lines that count; the brackets of jobs are told besides."""
        batch, accepted = judged
        places = {step.offset: step for step in accepted.steps if isinstance(step, Opened | Sealed)}
        counted = {step.offset for step in accepted.steps if isinstance(step, Erased)}
        defined = {
            control.offset
            for control in batch.controls
            if isinstance(control.event, AttributeDefined)
        }
        found: dict[int, ErasedOutcome] = {}
        is_home = partition.state.partition == self._outcomes.partition
        for record in records:
            offset = record.offset()
            if offset in theirs:
                if outcome := self._outcome(theirs[offset], is_counted=offset in counted):
                    found[offset] = outcome
            elif is_home and offset in defined:
                self._outcomes.note(record)
            elif is_home and offset in places:
                self._bracket(places[offset], record)
        return found

    def _bracket(self, step: Opened | Sealed, record: CopiedRecord) -> None:
        if isinstance(step, Opened):
            self._outcomes.open(step, record)
        else:
            self._outcomes.seal(step, record)

    def _outcome(self, record: CopiedRecord, *, is_counted: bool) -> ErasedOutcome | None:
        """What became of a line of a job; None of a record that is none, or does not count."""
        event = _event(record)
        if isinstance(event, RowRejected):
            return "refused" if is_counted else None
        if not isinstance(event, UserRow):
            return None
        if event.job_id is None:
            if record.key() == event.key.encode():
                self._outcomes.note(record)
            return None
        return self._outcomes.outcome(event, record) if is_counted else None


def _without_holes(
    records: list[CopiedRecord], begin: int, end: int | None = None
) -> list[CopiedRecord]:
    """The records with one that means nothing at each offset that has none."""
    whole: list[CopiedRecord] = []
    for record in records:
        whole += [_filler(offset, record.timestamp_ms) for offset in range(begin, record.offset())]
        whole.append(record)
        begin = record.offset() + 1
    if end is not None:
        whole += [_filler(offset, 0) for offset in range(begin, end)]
    return whole


def _filler(offset: int, timestamp_ms: int) -> CopiedRecord:
    return CopiedRecord(_NO_LINE, encode(_NOTHING), offset, timestamp_ms, [])


def _up_to_seals(records: list[CopiedRecord]) -> Iterator[list[CopiedRecord]]:
    part: list[CopiedRecord] = []
    for record in records:
        part.append(record)
        if _seal(record):
            yield part
            part = []
    if part:
        yield part


def _seal(record: CopiedRecord) -> JobSealed | None:
    known = type_of(record.value() or b"")
    if known is None or known[0] is not JobSealed:
        return None
    event = _event(record)
    return event if isinstance(event, JobSealed) else None


def _event(record: CopiedRecord) -> Event | None:
    try:
        return decode(record.value())
    except UndecodableError:
        return None


def _is_line(event: Event | None) -> TypeGuard[UserRow | RowRejected]:
    """Whether a job may count it; what stands for another one must take no line's place."""
    if not isinstance(event, UserRow | RowRejected) or misfit(event) is not None:
        return False
    return isinstance(event, RowRejected) or not (event.job_id is None or is_misattributed(event))


def _placeholder(
    theirs: CopiedRecord | None, record: CopiedRecord, outcome: ErasedOutcome
) -> CopiedRecord:
    """What stands in the place of a record that is theirs; any other one stays."""
    if theirs is None:
        return record
    event = _event(theirs)
    key, row = _NO_LINE, _NOTHING
    if _is_line(event):
        row = RowErased(
            job_id=event.job_id,
            record_number=event.record_number,
            line=event.line,
            sequence=event.sequence,
            outcome=outcome,
        )
        key = f"{event.job_id}/{event.record_number}".encode()
    return CopiedRecord(key, encode(row), record.offset(), record.timestamp_ms, [])
