"""Metrics of requests."""

from __future__ import annotations

from typing import Final

from prometheus_client import Counter, Histogram

from schemas.config.metrics import BUCKETS_S

REQUESTS: Final = Counter(
    "rollcall_http_requests",
    "Requests answered, by route and status.",
    ["method", "route", "status"],
)
REQUEST_SECONDS: Final = Histogram(
    "rollcall_http_request_seconds",
    "From a request's head to the end of its answer.",
    ["method", "route"],
    buckets=BUCKETS_S,
)
RECEIVED_BYTES: Final = Counter("rollcall_http_received_bytes", "Bytes of bodies received.")
