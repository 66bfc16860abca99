"""Metrics of the connection pool."""

from __future__ import annotations

from typing import Final

from prometheus_client import Gauge

POOL_CONNECTIONS: Final = Gauge(
    "rollcall_postgres_pool_connections",
    "Connections to Postgres in the pool: all, and those idle.",
    ["state"],
)
POOL_WAITING: Final = Gauge(
    "rollcall_postgres_pool_waiting_requests", "Requests that wait for a connection."
)
