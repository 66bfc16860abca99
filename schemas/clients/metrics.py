"""Metrics of the clients of Kafka and Postgres, in every process."""

from __future__ import annotations

from typing import Final

from prometheus_client import Counter, Gauge

KAFKA_WAITING: Final = Gauge(
    "rollcall_kafka_waiting_records",
    "Records within a client of Kafka: a producer's to be sent, a consumer's to be taken.",
    ["client"],
)
KAFKA_ROUND_TRIP: Final = Gauge(
    "rollcall_kafka_round_trip_seconds",
    "Mean time to a broker's answer in the last seconds.",
    ["client", "broker"],
)
KAFKA_FAILURES: Final = Counter(
    "rollcall_kafka_failures",
    "Requests to a broker that failed or timed out, and disconnections.",
    ["client", "broker"],
)
KAFKA_REBALANCES: Final = Counter(
    "rollcall_kafka_rebalances", "Rebalances that a consumer of a group has seen.", ["client"]
)
POSTGRES_FAILURES: Final = Counter(
    "rollcall_postgres_failures", "Failures to reach Postgres, to be tried again.", ["error"]
)
FORGED_RECORDS: Final = Counter(
    "rollcall_forged_records",
    "Records read without a right digest, where digests are required; they have no effect.",
    ["topic"],
)
