"""A projection driven without Kafka, verified against its log in memory."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from processor.verification.findings import Findings
from processor.verification.job_comparison import compare_jobs
from processor.verification.partition import PartitionLog, PartitionVerification
from processor.verification.snapshot import session, snapshot, users
from tests.surroundings import PARTITIONS

if TYPE_CHECKING:
    from collections.abc import Iterator

    import psycopg
    import pyarrow as pa

    from processor.verification.partition import PartitionReport
    from processor.verification.snapshot import Snapshot
    from tests.passes import MemoryRecord
    from tests.projection_scene import Scene


def findings_of(scene: Scene, *, batch_size: int = 7) -> list[str]:
    """What a verification of the scene's tables finds, a line each."""
    with snapshot(scene.env.settings, scene.schema) as taken:
        reports = [_report(scene, taken, partition, batch_size) for partition in range(PARTITIONS)]
    findings = Findings()
    for report in reports:
        findings.merge(report.findings)
    compare_jobs(taken.tables, reports, findings)
    assert bool(findings.shown) == bool(findings.counts)
    return [str(finding) for finding in findings.shown]


def _report(scene: Scene, taken: Snapshot, partition: int, batch_size: int) -> PartitionReport:
    records = scene.log.partitions[partition]

    def read(until: int) -> Iterator[list[MemoryRecord]]:
        for begin in range(0, until, batch_size):
            yield records[begin : min(begin + batch_size, until)]

    with session(scene.env.settings, taken.name) as connection:
        log = PartitionLog(partition, len(records), scene.reverted, read)
        leaf = partial(_leaf, connection, scene.schema, partition)
        return PartitionVerification(taken.tables, log, leaf).run(lambda _: None)


def _leaf(
    connection: psycopg.Connection, schema: str, partition: int, generation: int
) -> Iterator[pa.Table]:
    return users(connection, schema, generation, partition)
