"""Metrics of the publisher."""

from __future__ import annotations

from typing import Final

from prometheus_client import Counter, Gauge, Histogram

from schemas.config.metrics import BUCKETS_S

IS_LEADER: Final = Gauge("rollcall_publisher_is_leader", "1 in the publisher that works.")
WAITING_JOBS: Final = Gauge(
    "rollcall_publisher_waiting_jobs", "Accepted jobs that are still to be published."
)
PUBLISHED_ROWS: Final = Counter(
    "rollcall_published_rows",
    "Rows appended to user-events.",
    ["mode"],
)
PUBLISH_SECONDS: Final = Histogram(
    "rollcall_publish_seconds", "To publish one job.", buckets=BUCKETS_S
)
HELD_UP: Final = Counter(
    "rollcall_publisher_held_up", "Failures for which publishing paused, to be tried again."
)
REFUSED_JOBS: Final = Counter(
    "rollcall_publisher_refused_jobs",
    "Tries to publish a job whose file is lost, or whose record or rules can't be understood.",
)
FAILED_JOBS: Final = Counter(
    "rollcall_publisher_failed_jobs", "Jobs that have failed because they can't be published."
)
OVERDUE_JOBS: Final = Counter(
    "rollcall_publisher_overdue_jobs", "Jobs published again because rows of theirs were lost."
)
