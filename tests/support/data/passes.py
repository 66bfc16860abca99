"""A publisher's pass made a record at a time, and a log of passes kept in memory."""

from __future__ import annotations

import io
import zlib
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from ingest_api.publisher.encode_pass import FilePass
from schemas.codec import codec
from schemas.events import JobOpened, JobSealed, RowRejected, UserRow
from schemas.log.topics import partition_of
from schemas.rules.rejections import Fault, faults_text
from tests.support.models.model import (
    FIELDS,
    ROW_MODES,
    RefusedError,
    checked_values,
    key_of,
    lines_of,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from schemas.events import JobAccepted
    from tests.support.models.model import Job, Line


_STARTED_MS = 1_772_366_400_123
"""Of the first record of a log in memory: in March 2026."""


@dataclass(frozen=True, slots=True)
class MemoryRecord:
    """What the processor reads of a Kafka message."""

    record_key: bytes | None
    record_value: bytes | None
    record_offset: int = -1
    record_timestamp_ms: int = 0
    record_headers: Sequence[tuple[str, str | bytes | None]] = ()

    def key(self) -> bytes | None:
        """The record's key."""
        return self.record_key

    def value(self) -> bytes | None:
        """The record's value."""
        return self.record_value

    def offset(self) -> int:
        """Its place in the partition."""
        return self.record_offset

    def timestamp(self) -> tuple[int, int]:
        """When the log has it from."""
        return 1, self.record_timestamp_ms

    def headers(self) -> Sequence[tuple[str, str | bytes | None]]:
        """Its headers."""
        return self.record_headers


Pass = list[list[MemoryRecord]]
"""The records of one pass, by partition."""


@dataclass(slots=True)
class MemoryLog:
    """``user-events`` in memory."""

    partitions: list[list[MemoryRecord]]
    _rows: dict[tuple[int, int], UserRow] = field(default_factory=dict[tuple[int, int], UserRow])

    def append(self, partition: int, records: Sequence[MemoryRecord]) -> None:
        """Add records to the end of a partition."""
        log = self.partitions[partition]
        for record in records:
            # Another one for each record, and not in the order of partitions.
            timestamp_ms = _STARTED_MS + 1000 * len(log) + 333 * (partition * 2 % 3)
            own_ms = record.record_timestamp_ms
            log.append(
                replace(record, record_offset=len(log), record_timestamp_ms=own_ms or timestamp_ms)
            )

    def read_rows(self, partition: int, offsets: list[int]) -> Iterator[tuple[int, UserRow]]:
        """The rows at these offsets, as the processor reads them again."""
        for offset in offsets:
            row = codec.decode(self.partitions[partition][offset].value())
            assert isinstance(row, UserRow)
            yield offset, row


def make_pass(job: Job, previous_job_id: int, partitions: int) -> Pass:
    """The pass over a job's file."""
    lines = lines_of(job)
    opened = codec.encode(
        JobOpened(
            job_id=job.job_id,
            previous_job_id=previous_job_id,
            mode=job.mode,
            lines=len(lines),
            file_name=None,
            sha256="0" * 64,
            accepted_at=job.accepted_at,
            accepted_by="admin",
            fills=sum(1 << FIELDS.index(name) for name in job.fills),
            keeps_opt_outs=job.keeps_opt_outs,
        )
    )
    whole: Pass = [[MemoryRecord(None, opened)] for _ in range(partitions)]
    for line in lines:
        key, partition = _key_and_partition(job, line, partitions)
        value = codec.encode(_event(job, line, sequence=len(whole[partition]) - 1))
        whole[partition].append(MemoryRecord(key, value))
    for records in whole:
        values = [record.value() or b"" for record in records[1:]]
        digest = zlib.crc32(b"".join(values))
        seal = JobSealed(job_id=job.job_id, rows=len(values), digest=digest)
        records.append(MemoryRecord(None, codec.encode(seal)))
    return whole


def make_file_pass(
    content: bytes, accepted: JobAccepted, previous_job_id: int, partitions: int
) -> Pass:
    """The pass that the publisher makes over a file."""
    made = FilePass(io.BytesIO(content), accepted, partitions)
    whole: Pass = [[] for _ in range(partitions)]
    for block in made.blocks():
        for partition, (keys, values) in block.items():
            whole[partition] += map(MemoryRecord, keys, values)
    opened = JobOpened(
        job_id=accepted.job_id,
        previous_job_id=previous_job_id,
        mode=accepted.mode,
        lines=accepted.lines,
        file_name=accepted.file_name,
        sha256=accepted.sha256,
        accepted_at=accepted.accepted_at,
        accepted_by=accepted.accepted_by,
        fills=accepted.fills,
        keeps_opt_outs=accepted.opt_ins == "keep",
    )
    for records, rows, digest in zip(whole, made.rows, made.digests, strict=True):
        seal = JobSealed(job_id=accepted.job_id, rows=rows, digest=digest)
        records.insert(0, MemoryRecord(None, codec.encode(opened)))
        records.append(MemoryRecord(None, codec.encode(seal)))
    return whole


def _key_and_partition(job: Job, line: Line, partitions: int) -> tuple[bytes, int]:
    try:
        key = key_of(checked_values(job, line)).encode()
    except RefusedError:
        key = f"{job.job_id}/{line.record_number}".encode()
    return key, partition_of(key, partitions)


def _event(job: Job, line: Line, *, sequence: int) -> UserRow | RowRejected:
    try:
        values = checked_values(job, line)
    except RefusedError as refusal:
        return RowRejected(
            job_id=job.job_id,
            record_number=line.record_number,
            line=line.line,
            sequence=sequence,
            column=None,
            code=refusal.code,
            reason=refusal.code,
            value=None,
            raw="",
        )
    if job.mode == "delete":
        return UserRow(
            job_id=job.job_id,
            record_number=line.record_number,
            line=line.line,
            sequence=sequence,
            mode="upsert",
            key=key_of(values),
            present=0,
            occurred_at=job.accepted_at,
            raw="",
        )
    dated: dict[str, Any] = dict(values)
    dated["last_active_date"] = values["last_active_date"] or job.accepted_at.date()
    dropped = [
        Fault(column=column, code=code, reason=code, value=None) for column, code in line.dropped
    ]
    present = sum(1 << at for at, name in enumerate(FIELDS) if values[name] is not None)
    return UserRow(
        job_id=job.job_id,
        record_number=line.record_number,
        line=line.line,
        sequence=sequence,
        mode=ROW_MODES[job.mode],
        key=key_of(values),
        present=present,
        occurred_at=job.accepted_at,
        raw="",
        dropped_cells=faults_text(dropped),
        **dated,
    )
