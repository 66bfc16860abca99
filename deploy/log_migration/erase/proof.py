"""Proves a log without a data subject: the rows of all other users are unchanged."""

from __future__ import annotations

from typing import Final, LiteralString

from deploy.log_migration.proof import JOBS, REASONS, Proof

_JOB_PARTITIONS: LiteralString = """
SELECT job_id, partition, inserted, updated, unchanged, rejected FROM {schema}.job_partition
"""
_OTHER_REASONS: LiteralString = """
SELECT count(*) FROM (
    SELECT * FROM (<new>) AS told WHERE code <> {erased}
    EXCEPT ALL <old>
) AS differing
""".replace("<new>", REASONS.replace("{schema}", "{new}")).replace(
    "<old>", REASONS.replace("{schema}", "{old}")
)
# A delsert that removed the data subject has nobody to remove.
_DELETED: LiteralString = """
SELECT count(*)
FROM {old}.job_partition AS before JOIN {new}.job_partition AS after USING (job_id, partition)
WHERE after.deleted NOT BETWEEN before.deleted - (partition = {home})::integer AND before.deleted
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
    none={"reasons of refused lines": _OTHER_REASONS, "users deleted by jobs": _DELETED},
    totals=_TOTALS,
)
"""``{key}``: the data subject's; ``{home}``: its partition; ``{erased}``: an erased line's code."""
