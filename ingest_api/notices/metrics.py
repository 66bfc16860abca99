"""Metrics of notices."""

from __future__ import annotations

from typing import Final

from prometheus_client import Counter, Gauge

DELIVERIES: Final = Counter(
    "rollcall_notice_deliveries",
    "Tries to deliver a notice, by way (`webhook`, `mail`) and result (`taken`, `failed`).",
    ["way", "result"],
)
WAITING: Final = Gauge(
    "rollcall_notice_deliveries_waiting", "Deliveries that are to be tried, now or later."
)

for _way in ("webhook", "mail"):
    for _result in ("taken", "failed"):
        DELIVERIES.labels(_way, _result)
