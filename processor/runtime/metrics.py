"""Metrics of what writes the tables: processors, and builders that replay the log."""

from __future__ import annotations

from typing import Final

from prometheus_client import Counter, Gauge, Histogram

from schemas.config.metrics import BUCKETS_S
from schemas.log.dead_letters import REASONS

RECORDS: Final = Counter("rollcall_projected_records", "Records of user-events applied.")
ROWS: Final = Counter(
    "rollcall_projected_rows", "Lines of jobs by what became of them.", ["outcome"]
)
REJECTIONS: Final = Counter(
    "rollcall_rejections", "Rejected lines of jobs, by the code of the first fault.", ["code"]
)
JOBS: Final = Counter("rollcall_finished_jobs", "Jobs that have ended.", ["mode", "state"])
JOB_SECONDS: Final = Histogram(
    "rollcall_job_seconds", "From a job's acceptance to its end.", buckets=BUCKETS_S
)
DEAD_LETTERS: Final = Counter(
    "rollcall_dead_letters", "Records that could not be applied, by reason.", ["code"]
)
for _code in REASONS:
    DEAD_LETTERS.labels(_code)  # from 0, or the increase by the first one would be seen by nobody
ALARMS: Final = Counter(
    "rollcall_alarms", "What must never happen, each with a line in the log.", ["alarm"]
)
DIGEST_MISMATCH: Final = ALARMS.labels("digest_mismatch")
MISATTRIBUTED_ROWS: Final = ALARMS.labels("misattributed_rows")
UNFIT_RECORDS: Final = ALARMS.labels("unfit_records")
UNREADABLE_BATCHES: Final = ALARMS.labels("unreadable_batches")
TABLES_REFUSED: Final = ALARMS.labels("tables_refused")
OUTCOMES_LOST: Final = ALARMS.labels("outcomes_lost")
BATCH_SECONDS: Final = Histogram(
    "rollcall_batch_seconds",
    "Of a batch: prepare (decode, decide, encode) and project (its transaction).",
    ["stage"],
    buckets=BUCKETS_S,
)
LOST_PARTITIONS: Final = Counter(
    "rollcall_lost_partitions", "Partitions that had to be claimed again, after a failure."
)
LAG_RECORDS: Final = Gauge(
    "rollcall_lag_records", "Records of a partition that are still to be applied.", ["partition"]
)
LAG_SECONDS: Final = Gauge(
    "rollcall_lag_seconds",
    "Age of the record of a partition that comes next, 0 where none waits.",
    ["partition"],
)
OUTBOX_WAITING: Final = Gauge(
    "rollcall_outbox_waiting_records", "Records that are still to be sent to Kafka."
)
OUTBOX_STUCK: Final = Gauge(
    "rollcall_outbox_stuck_seconds", "Since the record that is sent next came to be the next."
)
OUTBOX_SENT: Final = Counter("rollcall_outbox_sent_records", "Records sent to Kafka.")
OUTBOX_FAILURES: Final = Counter(
    "rollcall_outbox_failures", "Times that sending paused, to be tried again."
)
BUILDS: Final = Counter("rollcall_builds", "Instances built or failed.", ["purpose", "outcome"])
for _purpose in ("rebuild", "verify", "upgrade", "undo", "preview", "as_of"):
    BUILDS.labels(_purpose, "failed")
BUILD_DONE: Final = Gauge(
    "rollcall_build_done_ratio", "How far the build at work is in its step, 0 to 1."
)
