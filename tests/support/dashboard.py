"""The Grafana dashboard of Rollcall, made of a list of panels.

`just docs` writes it anew; a test fails where it differs.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Final

from tests.support.checkout import CHECKOUT

DASHBOARD: Final = CHECKOUT / "deploy" / "monitoring" / "grafana" / "dashboards" / "rollcall.json"
_SOURCE: Final = {"type": "prometheus", "uid": "prometheus"}
_WORKER: Final = 'job="rollcall-processor"'
_COLUMNS: Final = 24


@dataclass(frozen=True, slots=True)
class Panel:
    """A panel: its queries, each with the legend of its series."""

    title: str
    queries: dict[str, str]
    unit: str = "short"
    kind: str = "timeseries"
    width: int = 8


def _stat(title: str, query: str, unit: str = "short") -> Panel:
    """A number that should be 0."""
    return Panel(title, {query: ""}, unit, "stat", 4)


def _quantiles(name: str, by: str = "", where: str = "") -> dict[str, str]:
    """Queries of the 50th and 95th percentile of a histogram."""
    labels = ", ".join(filter(None, ("le", by)))
    legend = f" {{{{{by}}}}}" if by else ""
    return {
        f"histogram_quantile({quantile}, sum by ({labels})"
        f" (rate({name}_bucket{where}[$__rate_interval])))": f"p{quantile * 100:.0f}{legend}"
        for quantile in (0.5, 0.95)
    }


def _rate(name: str, by: str, where: str = "") -> dict[str, str]:
    return {f"sum by ({by}) (rate({name}{where}[$__rate_interval]))": f"{{{{{by}}}}}"}


ROWS: Final[dict[str, list[Panel]]] = {
    "Is anything lost?": [
        _stat("Alarms", f"sum(increase(rollcall_alarms_total{{{_WORKER}}}[$__range]))"),
        _stat(
            "Jobs published again", "sum(increase(rollcall_publisher_overdue_jobs_total[$__range]))"
        ),
        _stat("Dead letters", "sum(increase(rollcall_dead_letters_total[$__range]))"),
        _stat("Open jobs", "max(rollcall_open_jobs)"),
        _stat("Oldest open job", "max(rollcall_oldest_open_job_seconds)", "s"),
        _stat("Outbox stuck", f"max(rollcall_outbox_stuck_seconds{{{_WORKER}}})", "s"),
        Panel(
            "Lines: accepted, and what became of them",
            {
                "sum(increase(rollcall_accepted_lines_total[$__range]))": "accepted",
                f"sum by (outcome) (increase(rollcall_projected_rows_total{{{_WORKER}}}"
                "[$__range]))": "{{outcome}}",
            },
            kind="bargauge",
            width=12,
        ),
        Panel(
            "Alerts",
            {
                'sum by (alertname, alertstate) (ALERTS{alertname=~"Rollcall.*"})': (
                    "{{alertname}} {{alertstate}}"
                )
            },
            width=12,
        ),
    ],
    "Imports": [
        Panel("Requests", _rate("rollcall_http_requests_total", "status"), "reqps"),
        Panel("Time of requests", _quantiles("rollcall_http_request_seconds"), "s"),
        Panel(
            "Bytes received",
            {"sum(rate(rollcall_http_received_bytes_total[$__rate_interval]))": "bytes"},
            "Bps",
        ),
        Panel("Lines accepted", _rate("rollcall_accepted_lines_total", "mode")),
        Panel(
            "Rejected lines by code",
            _rate("rollcall_rejections_total", "code", f"{{{_WORKER}}}"),
        ),
        Panel("Rows published", _rate("rollcall_published_rows_total", "mode")),
        Panel("Time to publish a job", _quantiles("rollcall_publish_seconds"), "s"),
        Panel(
            "From acceptance to end",
            _quantiles("rollcall_job_seconds", where=f"{{{_WORKER}}}"),
            "s",
        ),
        Panel("Jobs ended", _rate("rollcall_finished_jobs_total", "state", f"{{{_WORKER}}}")),
        Panel(
            "Publisher",
            {
                "sum(rollcall_publisher_is_leader)": "at work",
                "max(rollcall_publisher_waiting_jobs)": "jobs that wait",
                "sum(increase(rollcall_publisher_held_up_total[$__rate_interval]))": "held up",
                "sum(increase(rollcall_publisher_refused_jobs_total[$__rate_interval]))": "refused",
                "sum(increase(rollcall_publisher_failed_jobs_total[$__rate_interval]))": "failed",
            },
        ),
        Panel(
            "Records without a right digest",
            _rate("rollcall_forged_records_total", "topic"),
        ),
        Panel("Dead letters by code", _rate("rollcall_dead_letters_total", "code")),
        Panel("Rejected by the file alone", _rate("rollcall_rejected_lines_total", "mode")),
    ],
    "Projection": [
        Panel(
            "Rows by outcome",
            _rate("rollcall_projected_rows_total", "outcome", f"{{{_WORKER}}}"),
        ),
        Panel(
            "Lag in records",
            {f"sum by (partition) (rollcall_lag_records{{{_WORKER}}})": "{{partition}}"},
        ),
        Panel(
            "Lag in seconds",
            {f"max by (partition) (rollcall_lag_seconds{{{_WORKER}}})": "{{partition}}"},
            "s",
        ),
        Panel(
            "Time of a batch",
            _quantiles("rollcall_batch_seconds", "stage", f"{{{_WORKER}}}"),
            "s",
        ),
        Panel(
            "Records applied",
            {"sum by (job) (rate(rollcall_projected_records_total[$__rate_interval]))": "{{job}}"},
        ),
        Panel(
            "Outbox",
            {
                f"max(rollcall_outbox_waiting_records{{{_WORKER}}})": "waiting",
                f"sum(rate(rollcall_outbox_sent_records_total{{{_WORKER}}}[$__rate_interval]))": (
                    "sent/s"
                ),
                f"sum(increase(rollcall_outbox_failures_total{{{_WORKER}}}[$__rate_interval]))": (
                    "failures"
                ),
            },
        ),
        Panel(
            "Partitions lost",
            {
                f"sum(increase(rollcall_lost_partitions_total{{{_WORKER}}}"
                "[$__rate_interval]))": "lost"
            },
        ),
        Panel(
            "Builds",
            {
                "sum by (purpose, outcome)"
                ' (rollcall_builds_total{job="rollcall-builder"})': "{{purpose}} {{outcome}}"
            },
        ),
        Panel(
            "Progress of the build",
            {'max(rollcall_build_done_ratio{job="rollcall-builder"})': "done"},
            "percentunit",
        ),
    ],
    "Kafka": [
        Panel("Ready", {'min(rollcall_ready{component="kafka"})': "Kafka"}),
        Panel(
            "Time to a broker's answer",
            {
                "max by (client, broker)"
                " (rollcall_kafka_round_trip_seconds)": "{{client}} {{broker}}"
            },
            "s",
        ),
        Panel(
            "Records in clients",
            {"sum by (client) (rollcall_kafka_waiting_records)": "{{client}}"},
        ),
        Panel("Failures", _rate("rollcall_kafka_failures_total", "broker")),
        Panel("Rebalances", _rate("rollcall_kafka_rebalances_total", "client")),
    ],
    "Postgres": [
        Panel("Ready", {'min(rollcall_ready{component="postgres"})': "Postgres"}),
        Panel("Failures", _rate("rollcall_postgres_failures_total", "error")),
        Panel(
            "The API's connections",
            {
                "sum by (state) (rollcall_postgres_pool_connections)": "{{state}}",
                "sum(rollcall_postgres_pool_waiting_requests)": "requests that wait",
            },
        ),
    ],
    "Processes": [
        Panel("Answering", {'sum by (job) (up{job=~"rollcall-.*"})': "{{job}}"}),
        Panel(
            "Restarts",
            {
                'sum by (job) (changes(process_start_time_seconds{job=~"rollcall-.*"}'
                "[$__rate_interval]))": "{{job}}"
            },
        ),
        Panel("Ready", {"min by (component) (rollcall_ready)": "{{component}}"}),
        Panel(
            "Memory",
            {
                'process_resident_memory_bytes{job=~"rollcall-.*"}': "{{job}} {{instance}}",
            },
            "bytes",
        ),
        Panel(
            "Processors used",
            {
                'rate(process_cpu_seconds_total{job=~"rollcall-.*"}'
                "[$__rate_interval])": "{{job}} {{instance}}"
            },
        ),
        Panel(
            "Disk that is watched",
            {
                "max(rollcall_disk_free_bytes)": "free",
                "max(rollcall_disk_bytes)": "all",
            },
            "bytes",
        ),
    ],
}
"""The panels by row, in the order in which one looks at 3 a.m."""


def dashboard() -> dict[str, Any]:
    """The dashboard, in Grafana's own format."""
    panels: list[dict[str, Any]] = []
    y = 0
    for title, row in ROWS.items():
        panels.append(_placed({"type": "row", "title": title, "collapsed": False}, 0, y, _COLUMNS))
        x, y = 0, y + 1
        height = 0
        for panel in row:
            if x + panel.width > _COLUMNS:
                x, y, height = 0, y + height, 0
            own_height = 4 if panel.kind == "stat" else 8
            panels.append(_placed(_panel(panel), x, y, panel.width, own_height))
            x, height = x + panel.width, max(height, own_height)
        y += height
    return {
        "uid": "rollcall",
        "title": "Rollcall",
        "tags": ["rollcall"],
        "schemaVersion": 39,
        "editable": True,
        "refresh": "10s",
        "time": {"from": "now-1h", "to": "now"},
        "timezone": "browser",
        "panels": [{"id": number, **panel} for number, panel in enumerate(panels, start=1)],
    }


def _placed(panel: dict[str, Any], x: int, y: int, width: int, height: int = 1) -> dict[str, Any]:
    return {**panel, "gridPos": {"h": height, "w": width, "x": x, "y": y}}


def _panel(panel: Panel) -> dict[str, Any]:
    steps: list[dict[str, Any]] = [{"color": "green", "value": None}]
    if panel.kind == "stat":
        steps.append({"color": "red", "value": 1 if panel.unit == "short" else 60})
    return {
        "type": panel.kind,
        "title": panel.title,
        "datasource": _SOURCE,
        "fieldConfig": {
            "defaults": {
                "unit": panel.unit,
                "min": 0,
                "thresholds": {"mode": "absolute", "steps": steps},
            },
            "overrides": [],
        },
        "targets": [
            {
                "refId": chr(ord("A") + number),
                "datasource": _SOURCE,
                "expr": query,
                "legendFormat": legend,
                "instant": panel.kind != "timeseries",
                "range": panel.kind == "timeseries",
            }
            for number, (query, legend) in enumerate(panel.queries.items())
        ],
    }


def dashboard_text() -> str:
    """The file's text."""
    return json.dumps(dashboard(), indent=1) + "\n"
