"""Compares jobs over all partitions: records in the log, outcomes, and what the tables keep."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields
from typing import TYPE_CHECKING, Final

from processor.verification.findings import Finding
from processor.verification.snapshot import JobPartitionRow
from schemas.log.job_states import line_outcomes

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from processor.verification.findings import Findings
    from processor.verification.folded_job import JobInPartition
    from processor.verification.partition import PartitionReport
    from processor.verification.snapshot import JobRow, Tables

_FROM_LOG: Final = ("mode", "lines", "file_name", "sha256", "accepted_at", "accepted_by")
_WRAP: Final = (1 << 64) - 1


@dataclass(slots=True)
class _FoldedJob:
    """A job as the log has it, by partition."""

    parts: dict[int, JobInPartition] = field(default_factory=dict[int, "JobInPartition"])

    @property
    def first(self) -> JobInPartition:
        """Its opening; all partitions were told the same."""
        return next(iter(self.parts.values()))

    @property
    def sealed(self) -> int:
        """The number of partitions in which it is whole."""
        return sum(part.sealed is not None for part in self.parts.values())

    @property
    def is_abandoned(self) -> bool:
        """True where it failed, so that the log may lack rows of it."""
        return any(part.sealed and part.sealed.seal.is_abandoned for part in self.parts.values())

    @property
    def started_at(self) -> datetime:
        """The time of its first record in the log."""
        return min(part.opened.recorded_at for part in self.parts.values())

    @property
    def state(self) -> str:
        """The end of a job that is whole."""
        if self.first.opened.is_reverted:
            return "REVERTED"
        return "COMPLETED_WITH_ERRORS" if self.rejected else "COMPLETED"

    @property
    def events(self) -> int:
        """The number of its rows in the log."""
        return sum(part.events for part in self.parts.values())

    @property
    def rejected(self) -> int:
        """The number of them that were refused."""
        return sum(part.rejected for part in self.parts.values())

    @property
    def rejections_hash(self) -> int:
        """The hash of all rejections, whatever their order."""
        return sum(part.rejections_hash for part in self.parts.values()) & _WRAP

    @property
    def notes(self) -> tuple[int, int]:
        """The number of notes of its rows, and their hash."""
        total = sum(part.notes_hash for part in self.parts.values()) & _WRAP
        return sum(part.notes for part in self.parts.values()), total


def compare_jobs(tables: Tables, reports: Iterable[PartitionReport], findings: Findings) -> None:
    """Note where tables and log disagree on jobs."""
    folded: dict[int, _FoldedJob] = {}
    for report in reports:
        for job_id, part in report.jobs.items():
            folded.setdefault(job_id, _FoldedJob()).parts[report.partition] = part
    for job_id in sorted(folded.keys() | tables.jobs.keys()):
        job, row = folded.get(job_id), tables.jobs.get(job_id)
        if job is None or row is None:
            _note_row(findings, "job", f"job {job_id}", is_missing=row is None)
        else:
            _compare_job(tables, job, row, findings)
    _compare_parts(tables, folded, findings)
    _compare_rejections(tables, folded, findings)
    _compare_active(tables, folded, findings)


def _compare_job(tables: Tables, job: _FoldedJob, row: JobRow, findings: Findings) -> None:
    subject, opened = f"job {row.job_id}", job.first.opened
    is_whole = job.sealed == tables.partitions
    sealed_at = [part.sealed.recorded_at for part in job.parts.values() if part.sealed]
    findings.compare(
        "job",
        subject,
        [
            *((name, getattr(opened.job, name), getattr(row, name)) for name in _FROM_LOG),
            ("sealed_partitions", job.sealed, row.sealed_partitions),
            ("started_at", job.started_at, row.started_at),
            ("finished_at", max(sealed_at) if is_whole else None, row.finished_at),
            ("state", job.state if is_whole else "PROCESSING", row.state),
        ],
    )
    if is_whole and not job.is_abandoned:
        findings.compare("log", subject, [("events", row.lines, job.events)])
    if is_whole and not opened.is_reverted:  # whose rows have no outcomes
        counted = sum(
            line_outcomes(row.mode, asdict(tables.job_partitions[row.job_id, partition]))
            for partition in range(tables.partitions)
            if (row.job_id, partition) in tables.job_partitions
        )
        findings.compare("job_partition", subject, [("sum of outcomes", row.lines, counted)])


def _compare_parts(tables: Tables, folded: dict[int, _FoldedJob], findings: Findings) -> None:
    expected = {
        (job_id, partition): _row_of(job_id, partition, part)
        for job_id, job in folded.items()
        for partition, part in job.parts.items()
    }
    for key in sorted(expected.keys() | tables.job_partitions.keys()):
        subject = f"job {key[0]}, partition {key[1]}"
        if key not in expected or key not in tables.job_partitions:
            _note_row(findings, "job_partition", subject, is_missing=key in expected)
            continue
        row = tables.job_partitions[key]
        digests = folded[key[0]].parts[key[1]].outcomes_digest, tables.line_outcomes.get(key, 0)
        findings.compare("line_outcome", subject, [("digest", *digests)])
        findings.compare(
            "job_partition",
            subject,
            [
                (column.name, getattr(expected[key], column.name), getattr(row, column.name))
                for column in fields(JobPartitionRow)
            ],
        )


def _row_of(job_id: int, partition: int, part: JobInPartition) -> JobPartitionRow:
    sealed = part.sealed
    return JobPartitionRow(
        job_id,
        partition,
        part.inserted,
        part.updated,
        part.unchanged,
        part.rejected,
        part.deleted,
        part.notes,
        part.opened.offset,
        part.opened.recorded_at,
        sealed and sealed.offset,
        sealed and sealed.recorded_at,
        sealed and sealed.seal.rows,
        sealed and sealed.seal.digest,
    )


def _compare_rejections(tables: Tables, folded: dict[int, _FoldedJob], findings: Findings) -> None:
    rejections = {job_id: (job.rejected, job.rejections_hash) for job_id, job in folded.items()}
    notes = {job_id: job.notes for job_id, job in folded.items()}
    for table, expected, found in (
        ("rejection", rejections, tables.rejections),
        ("note", notes, tables.notes),
    ):
        for job_id in sorted(expected.keys() | found.keys()):
            of_log, of_table = (rows.get(job_id, (0, 0)) for rows in (expected, found))
            if of_log[0] == of_table[0]:
                shown = [f"{hashed:016x}" for _, hashed in (of_log, of_table)]
                column = "hash of record numbers, lines and codes"
                findings.compare(table, f"job {job_id}", [(column, shown[0], shown[1])])
            else:
                findings.compare(table, f"job {job_id}", [("count", of_log[0], of_table[0])])


def _compare_active(tables: Tables, folded: dict[int, _FoldedJob], findings: Findings) -> None:
    """Readers see the last delsert that is whole; one that is kept no longer is no longer known."""
    whole = [
        number
        for number, job_id in tables.generations.items()
        if job_id not in tables.cancelled
        and (job_id not in folded or folded[job_id].sealed == tables.partitions)
    ]
    findings.compare(
        "projection",
        "its one row",
        [("active_generation", max(whole, default=None), tables.active_generation)],
    )


def _note_row(findings: Findings, table: str, subject: str, *, is_missing: bool) -> None:
    expected, found = ("a row", "none") if is_missing else ("no row", "one")
    findings.note(
        Finding(table=table, subject=subject, column=None, expected=expected, found=found)
    )
