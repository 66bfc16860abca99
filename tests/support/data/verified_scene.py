"""A projection driven without Kafka, verified against its log in memory."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from processor.decoding.producer_rules import LogPartition
from processor.verification.findings import Findings
from processor.verification.job_comparison import compare_jobs
from processor.verification.partition import PartitionLog, PartitionVerification
from processor.verification.snapshot import Leaves, session, snapshot
from tests.support.servers.surroundings import PARTITIONS

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pyarrow as pa

    from processor.verification.partition import PartitionReport
    from processor.verification.snapshot import Snapshot
    from tests.support.data.passes import MemoryRecord
    from tests.support.data.projection_scene import Scene


def findings_of(scene: Scene, *, batch_size: int = 7) -> list[str]:
    """What a verification of the scene's tables finds, a line each.

    Rows are read only where users differ.
    """
    read = list[int]()
    with snapshot(scene.env.settings, scene.schema) as taken:
        reports = [
            _report(scene, taken, partition, batch_size, read) for partition in range(PARTITIONS)
        ]
    findings = Findings()
    for report in reports:
        findings.merge(report.findings)
    compare_jobs(taken.tables, reports, findings)
    assert bool(findings.shown) == bool(findings.counts)
    assert bool(read) == any(kind.startswith("users.") for kind in findings.counts)
    return [str(finding) for finding in findings.shown]


@dataclass(frozen=True, slots=True)
class _Leaves(Leaves):
    """Notes which generations' rows were read."""

    read: list[int]

    def users(self, generation: int) -> Iterator[pa.Table]:
        self.read.append(generation)
        return Leaves.users(self, generation)


def _report(
    scene: Scene, taken: Snapshot, partition: int, batch_size: int, read_leaves: list[int]
) -> PartitionReport:
    records = scene.log.partitions[partition]

    def read(until: int) -> Iterator[list[MemoryRecord]]:
        for begin in range(0, until, batch_size):
            yield records[begin : min(begin + batch_size, until)]

    with session(scene.env.settings, taken.name) as connection:
        tables = taken.tables
        place = LogPartition(partition, tables.partitions, tables.reconciliation_key)
        log = PartitionLog(place, len(records), scene.reverted, read)
        leaves = _Leaves(connection, scene.schema, partition, read_leaves)
        return PartitionVerification(tables, log, leaves).run(lambda _: None)
