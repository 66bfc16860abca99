"""Verifies the tables as a whole: snapshot, partitions over two processes, jobs, result."""

from __future__ import annotations

import contextlib
import time
from collections import Counter
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Final

import psycopg

from processor.decoding.producer_rules import LogPartition
from processor.errors import (
    NotReadyError,
    OtherProcessDiedError,
    RefusedToStartError,
    VerificationError,
)
from processor.kafka.log_description import describe_log
from processor.kafka.reconciliation_key import check_digests
from processor.projection.session import connect
from processor.runtime.child_process import OtherProcess, shared_number
from processor.runtime.garbage_collection import rare_collections
from processor.tables.instance_registry import fetch_active
from processor.verification.findings import Findings
from processor.verification.job_comparison import compare_jobs
from processor.verification.log_reader import log_bounds, read_partition
from processor.verification.partition import PartitionLog, PartitionVerification
from processor.verification.snapshot import APPLICATION, Leaves, session, snapshot
from schemas.clients.errors import KafkaUnreachableError
from schemas.clients.job_events import at_current_version
from schemas.codec.registry_protocol import RegistryUnreachableError
from schemas.log.truncation import truncated
from schemas.read_model import tables as read_model

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Mapping
    from multiprocessing.sharedctypes import Synchronized

    from processor.verification.findings import Finding
    from processor.verification.partition import PartitionReport
    from processor.verification.snapshot import Tables
    from schemas.config.settings import Settings

    Note = Callable[[int, int], None]

_WORTH_PROCESSES: Final = 100_000
"""Records; of fewer, starting a process takes longer than folding them."""
_PROGRESS_S: Final = 0.2


@dataclass(frozen=True, slots=True, kw_only=True)
class Verification:
    """The extent of a verification, and its findings.

    ``findings`` has the first of each kind, ``counts`` how many there are of each.
    ``next_offsets`` is where the snapshot stands in each partition of the log.
    """

    schema: str
    next_offsets: tuple[int, ...]
    records: int
    users: int
    jobs: int
    finished_jobs: int
    lines: int
    rejections: int
    notes: int
    elapsed_s: float
    findings: tuple[Finding, ...]
    counts: Mapping[str, int]

    @property
    def is_proven(self) -> bool:
        """True where the tables are exactly what the log comes to."""
        return not self.counts

    @property
    def checks(self) -> list[Check]:
        """The numbers of what was compared, by table."""
        return [
            Check(table, compared, sum(self._differences(table)))
            for table, compared in (
                ("log", f"{self.records:,} records, digests and numbers of all jobs' rows"),
                ("projection_offset", f"{len(self.next_offsets)} partitions, offsets and states"),
                ("projection", "the generation that readers see"),
                ("users", f"{self.users:,} rows, every column"),
                ("user_count", "kept counts of users"),
                ("job", f"{self.jobs:,} jobs, {self.finished_jobs:,} of them finished"),
                ("job_partition", f"outcomes of {self.lines:,} lines, by job and partition"),
                ("line_outcome", "what became of each row of a job"),
                ("rejection", f"{self.rejections:,} rejected lines"),
                ("note", f"{self.notes:,} notes of lines"),
                ("opt_out", "opt-outs of keys without users"),
                ("attribute_partition", "definitions of attributes"),
            )
        ]

    def _differences(self, table: str) -> Iterator[int]:
        return (count for kind, count in self.counts.items() if kind.startswith(f"{table}."))


@dataclass(frozen=True, slots=True)
class Check:
    """A table that was compared: what of it, and the number of differences."""

    table: str
    compared: str
    differences: int


def _note_nothing(_done: int, _total: int) -> None:
    pass


def verify(
    settings: Settings,
    schema: str,
    *,
    reverted: frozenset[int] = frozenset(),
    note_progress: Note = _note_nothing,
) -> Verification:
    """Compare the projection in ``schema`` with the log; live work goes on meanwhile.

    ``reverted`` are jobs whose rows the projection leaves out.
    ``note_progress`` is called with how many records are folded, and how many there are.

    Raises:
        VerificationError: it can't be told: says why, and what to do.
    """
    begun_s = time.monotonic()
    with _as_verification_errors(), rare_collections(), snapshot(settings, schema) as taken:
        settings = settings.with_partitions(taken.tables.partitions)
        if any(row.requires_digests for row in taken.tables.offsets.values()):
            check_digests(settings)
        ends = _checked_ends(settings, taken.tables)
        runner = _Runner(settings, taken.tables, taken.name, reverted)
        reports = _reports(runner, taken.tables, ends, note_progress)
    findings = Findings()
    for report in reports:
        findings.merge(report.findings)
    compare_jobs(taken.tables, reports, findings)
    jobs = taken.tables.jobs.values()
    offsets = taken.tables.offsets
    return Verification(
        schema=schema,
        next_offsets=tuple(offsets[at].next_offset for at in sorted(offsets)),
        records=sum(report.records for report in reports),
        users=sum(report.users for report in reports),
        jobs=len(jobs),
        finished_jobs=sum(job.state != "PROCESSING" for job in jobs),
        lines=sum(job.lines for job in jobs),
        rejections=sum(count for count, _ in taken.tables.rejections.values()),
        notes=sum(count for count, _ in taken.tables.notes.values()),
        elapsed_s=time.monotonic() - begun_s,
        findings=tuple(findings.shown),
        counts=dict(findings.counts),
    )


def verify_active(settings: Settings, *, note_progress: Note = _note_nothing) -> Verification:
    """Compare the projection that readers see with the log.

    Raises:
        VerificationError: it can't be told: says why, and what to do.
    """
    with _as_verification_errors():
        settings = at_current_version(settings)
    with (
        _as_verification_errors(),
        connect(settings, APPLICATION) as connection,
        connection.cursor() as cursor,
    ):
        try:
            active = fetch_active(cursor)
        except psycopg.errors.UndefinedTable:
            active = None
    if active is None:
        raise VerificationError("There are no tables yet: start a processor, it makes them.")
    if active.version != read_model.VERSION:
        raise VerificationError(
            f"The tables are of version {active.version}, and this code knows "
            f"{read_model.VERSION}: finish the upgrade first."
        )
    return verify(settings, active.schema, reverted=active.reverted, note_progress=note_progress)


@contextlib.contextmanager
def _as_verification_errors() -> Generator[None]:
    """Raise faults of the surroundings as what they mean to a verification."""
    try:
        yield
    except (
        NotReadyError,
        RefusedToStartError,
        OtherProcessDiedError,
        KafkaUnreachableError,
    ) as error:
        raise VerificationError(str(error)) from error
    except RegistryUnreachableError as error:
        raise VerificationError(f"The schema registry does not answer: {error}") from error
    except psycopg.Error as error:
        raise VerificationError(f"Postgres does not answer: {str(error).strip()}") from error


def _checked_ends(settings: Settings, tables: Tables) -> list[int]:
    """Return where each partition of the log ends.

    Raises:
        VerificationError: the log is another one, or its beginning is gone.
    """
    found = describe_log(settings)
    topic = settings.topics.user_events.name
    if (found.topic_id, found.partitions) != (tables.topic_id, tables.partitions):
        raise VerificationError(
            f"The projection was made from another {topic} (id {tables.topic_id}, "
            f"{tables.partitions} partitions) than there is (id {found.topic_id}, "
            f"{found.partitions} partitions): rebuild it."
        )
    bounds = log_bounds(settings, tables.partitions)
    for number, (begin, _) in enumerate(bounds):
        if begin > 0:
            raise VerificationError(truncated(topic, number, begin))
    return [end for _, end in bounds]


def _reports(
    run: _Runner,
    tables: Tables,
    ends: list[int],
    note: Note,
) -> list[PartitionReport]:
    total = sum(min(row.next_offset, ends[at]) for at, row in tables.offsets.items())
    largest_first = sorted(tables.offsets, key=lambda at: -tables.offsets[at].next_offset)
    if total < _WORTH_PROCESSES or len(largest_first) == 1:
        done = Counter[str]()

        def count(records: int) -> None:
            done["records"] += records
            note(done["records"], total)

        return [run(at, ends[at], count) for at in largest_first]
    return _reports_of_processes(run, [(at, ends[at]) for at in largest_first], total, note)


def _reports_of_processes(
    run: _Runner,
    partitions: list[tuple[int, int]],
    total: int,
    note: Note,
) -> list[PartitionReport]:
    """Share the partitions with another process: each takes the next one when it is free."""
    taken, folded = shared_number(), shared_number()
    noted_s = time.monotonic()

    def count(records: int) -> None:
        nonlocal noted_s
        _take(folded, records)
        if time.monotonic() - noted_s > _PROGRESS_S:
            noted_s = time.monotonic()
            note(folded.value, total)

    with OtherProcess(_run_shared, run, partitions, taken, folded) as other:
        try:
            reports = _run_next(run, partitions, taken, count)
            while not other.is_done_within(_PROGRESS_S):
                note(folded.value, total)
            reports += other.result()
        finally:
            _take(taken, len(partitions))  # after a failure here, none is begun there
    note(folded.value, total)
    return reports


def _take(number: Synchronized[int], more: int) -> int:
    """Make the number larger; what it was before."""
    with number.get_lock():
        number.value += more
        return number.value - more


def _run_shared(
    run: _Runner,
    partitions: list[tuple[int, int]],
    taken: Synchronized[int],
    folded: Synchronized[int],
) -> list[PartitionReport]:
    def count(records: int) -> None:
        _take(folded, records)

    return _run_next(run, partitions, taken, count)


def _run_next(
    run: _Runner,
    partitions: list[tuple[int, int]],
    taken: Synchronized[int],
    count: Callable[[int], None],
) -> list[PartitionReport]:
    reports: list[PartitionReport] = []
    while (place := _take(taken, 1)) < len(partitions):
        reports.append(run(*partitions[place], count))
    return reports


@dataclass(frozen=True, slots=True)
class _Runner:
    """Verifies one partition; may travel to another process."""

    settings: Settings
    tables: Tables
    snapshot_name: str
    reverted: frozenset[int]

    def __call__(
        self, partition: int, end: int, note_progress: Callable[[int], None]
    ) -> PartitionReport:
        """Verify a partition whose log ends there."""
        with _as_verification_errors(), session(self.settings, self.snapshot_name) as connection:
            place = replace(
                LogPartition.in_log(self.settings, partition),
                reconciliation_key=self.tables.reconciliation_key,
            )
            read = partial(read_partition, self.settings, partition)
            log = PartitionLog(place, end, self.reverted, read)
            leaves = Leaves(connection, self.tables.schema, partition)
            return PartitionVerification(self.tables, log, leaves).run(note_progress)
