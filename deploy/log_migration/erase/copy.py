"""Copies `user-events` offset by offset, with a placeholder for each of a data subject's records.

Offsets stay, because users' ids are made of them.  A placeholder keeps its row's
place in its job's sequence and holds its outcome, so that the job's counts stay;
the digest in the job's seal is made anew.
The projection's own accept rule, applied to the copy, decides whether a record counts.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from hashlib import sha256
from typing import TYPE_CHECKING, Final, TypeGuard

from deploy.log_migration.log_copy import CountedPartition
from deploy.log_migration.records import FIRST_MS, CopiedRecord
from processor.decoding.accept_rule import Erased, Opened, Sealed
from schemas.codec.codec import UndecodableError, decode, encode
from schemas.codec.framing import type_of
from schemas.events import AttributeDefined, JobSealed, RowErased, RowRejected, UserRow
from schemas.log.passes import is_misattributed
from schemas.log.storable import violation
from schemas.log.topics import murmur2

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from deploy.log_migration.erase.data_subject import DataSubject
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
    """A partition of the copy; ``placeholder_job_id``: the open job, where it has placeholders."""

    placeholder_job_id: int | None = None


@dataclass(slots=True)
class Erasure:
    """The records erased so far, among them lines of jobs, each once.

    ``mentions``: partition and offset of other users' records that hold the key.
    """

    records: int = 0
    lines: list[RowErased] = field(default_factory=list[RowErased])
    mentions: list[tuple[int, int]] = field(default_factory=list[tuple[int, int]])


class ErasingCopy:
    """Copies all partitions in steps, each up to the given end offsets."""

    def __init__(
        self, old: Settings, *, subject: DataSubject, outcomes: Outcomes, copy: LogCopy
    ) -> None:
        """``outcomes`` are of the partition of the data subject's key."""
        self._subject = subject
        self._outcomes = outcomes
        self._copy = copy
        self._partitions = [
            _Partition(old, number) for number in range(old.topics.user_events.partitions)
        ]
        self.erasure = Erasure()

    def copy_up_to(self, ends: Sequence[int]) -> None:
        """Copy all records before these offsets, and wait until they are acknowledged.

        Raises:
            MoveFailedError: Kafka did not deliver or accept a record.
            MoveRefusedError: a job's rows do not match its seal.
        """
        for partition, end in zip(self._partitions, ends, strict=True):
            for records in partition.batches(end):
                self._write(partition, _without_holes(partition, records))
            self._write(partition, _without_holes(partition, [], end))
        self._copy.flush()

    def _write(self, partition: _Partition, records: list[CopiedRecord]) -> None:
        if not records:
            return
        has_placeholders = partition.placeholder_job_id is not None
        if has_placeholders or self._subject.may_mention(*records):
            parts = _up_to_seals(records)
            records = [record for part in parts for record in self._copied_part(partition, part)]
        else:
            self._feed_outcomes(partition, records, {}, partition.take(records))
        self._copy.append(
            partition.state.partition,
            [
                self._copy.signed(record)
                if partition.is_signed(record)
                else self._copy.unsigned(record)
                for record in records
            ],
        )

    def _copied_part(self, partition: _Partition, part: list[CopiedRecord]) -> list[CopiedRecord]:
        """Return the copy's records for these, of which none but the last seals a job."""
        seal = _seal(part[-1])
        body = part[:-1] if seal else part
        written = self._without_subject(partition, body) if body else []
        if seal:
            record = part[-1]
            if seal.job_id == partition.state.open_job_id == partition.placeholder_job_id:
                value = encode(replace(seal, digest=partition.state.digest))
                record = partition.signed(replace(record, record_value=value))
            self._feed_outcomes(partition, [record], {}, partition.take([record]))
            written.append(record)
        if partition.state.open_job_id != partition.placeholder_job_id:
            partition.placeholder_job_id = None
        return written

    def _without_subject(
        self, partition: _Partition, records: list[CopiedRecord]
    ) -> list[CopiedRecord]:
        theirs = {record.offset(): record for record in records if self._subject.owns(record)}
        number = partition.state.partition
        self.erasure.mentions += [
            (number, record.offset())
            for record in records
            if record.offset() not in theirs and self._subject.mentions(record)
        ]
        # Whether a record counts does not depend on its outcome; only the digest does.
        blank = [
            partition.signed(_placeholder(record, "none")) if record.offset() in theirs else record
            for record in records
        ]
        found = self._feed_outcomes(partition, blank, theirs, partition.decode_and_accept(blank))
        written = [
            partition.signed(self._with_opt_outs(_placeholder(record, outcome), opt_outs))
            if record.offset() in theirs
            else record
            for record in records
            for outcome, opt_outs in [found.get(record.offset(), ("none", None))]
        ]
        _, accepted = partition.take(written)
        erased = (step.row for step in accepted.steps if isinstance(step, Erased))
        counted = [row for row in erased if row.job_id is not None]
        self.erasure.lines += counted
        self.erasure.records += len(theirs)
        if any(row.job_id == partition.state.open_job_id for row in counted):
            partition.placeholder_job_id = partition.state.open_job_id
        return written

    def _feed_outcomes(
        self,
        partition: _Partition,
        records: list[CopiedRecord],
        theirs: Mapping[int, CopiedRecord],
        decoded: tuple[Batch, Accepted],
    ) -> dict[int, tuple[ErasedOutcome, int | None]]:
        """Project the openings and seals of jobs and the data subject's records.

        Returns:
            By offset, the outcomes of the data subject's records that count, and what the data
            subject has opted out of after them; None after a line that was refused before.
        """
        batch, accepted = decoded
        places = {step.offset: step for step in accepted.steps if isinstance(step, Opened | Sealed)}
        erased = {step.offset: step.row for step in accepted.steps if isinstance(step, Erased)}
        key_hash = sha256(self._subject.key.encode()).digest()
        erased_before = {at: row for at, row in erased.items() if row.key_hash == key_hash}
        defined = {
            control.offset
            for control in batch.controls
            if isinstance(control.event, AttributeDefined)
        }
        found: dict[int, tuple[ErasedOutcome, int | None]] = {}
        is_home = partition.state.partition == self._outcomes.partition
        for record in records:
            offset = record.offset()
            if offset in theirs:
                if outcome := self._outcome(theirs[offset], is_counted=offset in erased):
                    found[offset] = outcome
            elif is_home and offset in defined:
                self._outcomes.note(record)
            elif is_home and offset in erased_before:
                told = replace(erased_before[offset], job_id=None, sequence=None)
                self._outcomes.note(replace(record, record_value=encode(told)))
            elif is_home and offset in places:
                self._bracket(places[offset], record)
        return found

    def _bracket(self, step: Opened | Sealed, record: CopiedRecord) -> None:
        if isinstance(step, Opened):
            self._outcomes.open(step, record)
        else:
            self._outcomes.seal(step, record)

    def _outcome(
        self, record: CopiedRecord, *, is_counted: bool
    ) -> tuple[ErasedOutcome, int | None] | None:
        """Return what a record came to, and its opt-outs; None where it does not count."""
        event = _event(record)
        if isinstance(event, RowRejected):
            return ("refused", None) if is_counted else None
        if not isinstance(event, UserRow):
            return None
        if event.job_id is None:
            if record.key() != event.key.encode():
                return None
            self._outcomes.note(record)
            return "none", self._outcomes.opt_outs()
        if not is_counted:
            return None
        return self._outcomes.outcome(event, record), self._outcomes.opt_outs()

    def _with_opt_outs(self, record: CopiedRecord, opt_outs: int | None) -> CopiedRecord:
        """Return a placeholder that says what the data subject has opted out of after it."""
        if opt_outs is None:
            return record
        row, key = decode(record.value()), self._subject.key.encode()
        assert isinstance(row, RowErased), "only of placeholders it is asked"
        told = replace(
            row, key_hash=sha256(key).digest(), key_number=murmur2(key), opt_outs=opt_outs
        )
        return replace(record, record_value=encode(told))


def _without_holes(
    partition: _Partition, records: list[CopiedRecord], end: int | None = None
) -> list[CopiedRecord]:
    """Return the records with a filler at each offset that has none."""
    whole: list[CopiedRecord] = []
    begin = partition.state.next_offset
    for record in records:
        times = ((offset, record.timestamp_ms) for offset in range(begin, record.offset()))
        whole += [partition.signed(_filler(*each)) for each in times]
        whole.append(record)
        begin = record.offset() + 1
    if end is not None:
        whole += [partition.signed(_filler(offset, FIRST_MS)) for offset in range(begin, end)]
    return whole


def _filler(offset: int, timestamp_ms: int) -> CopiedRecord:
    return CopiedRecord(_NO_LINE, encode(_NOTHING), offset, timestamp_ms)


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
    """Return whether a job may count the event; a placeholder for another takes no line's place."""
    if not isinstance(event, UserRow | RowRejected) or violation(event) is not None:
        return False
    return isinstance(event, RowRejected) or not (event.job_id is None or is_misattributed(event))


def _placeholder(theirs: CopiedRecord, outcome: ErasedOutcome) -> CopiedRecord:
    """Return the placeholder of a record of the data subject's."""
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
    return CopiedRecord(key, encode(row), theirs.offset(), theirs.timestamp_ms)
