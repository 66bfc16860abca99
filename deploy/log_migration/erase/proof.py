"""Proves a log without a data subject: the rows of all other users are unchanged."""

from __future__ import annotations

from typing import Final, LiteralString

from deploy.log_migration.proof import JOBS, Proof

_JOB_PARTITIONS: LiteralString = """
SELECT job_id, partition, inserted, updated, unchanged, rejected FROM {schema}.job_partition
"""
_OTHER_REASONS: LiteralString = """
SELECT count(*) FROM (
    SELECT job_id, record_number, line, "column", code, reason, value, raw, further_faults::text
    FROM {new}.rejection WHERE code <> {erased}
    EXCEPT ALL
    SELECT job_id, record_number, line, "column", code, reason, value, raw, further_faults::text
    FROM {old}.rejection
) AS differing
"""
_TOTALS: LiteralString = """
SELECT (SELECT total FROM {old}.user_total) - (SELECT count(*) FROM {old}.users WHERE key = {key}),
       (SELECT total FROM {new}.user_total)
"""
PROOF: Final = Proof(
    same={
        "users": "SELECT * FROM {schema}.users WHERE key <> {key}",
        "jobs": JOBS,
        "counts of jobs by partition": _JOB_PARTITIONS,
        "attributes": "SELECT * FROM {schema}.attribute_definitions",
        "refused lines": "SELECT job_id, record_number, line FROM {schema}.rejection",
    },
    none={"reasons of refused lines": _OTHER_REASONS},
    totals=_TOTALS,
)
"""``{key}``: the data subject's; ``{erased}``: the code of an erased line."""
