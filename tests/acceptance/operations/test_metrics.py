"""Metrics of every process, after work whose numbers are known."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import httpx2
import pytest
from prometheus_client.openmetrics import parser

from deploy.local_stack.ports import free_ports
from tests.support.clients.client import TLS
from tests.support.clients.projections import request, wait_built
from tests.support.data.files import tidy_csv
from tests.support.metric_names import names
from tests.support.servers.rig import Rig
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.servers.services import Services
    from tests.support.servers.surroundings import Ground

_ROWS = 300
_TIMEOUT_S = 30


class _Watched:
    """An installation whose processes all show their metrics."""

    def __init__(self, env: Ground, services: Services) -> None:
        names = ("publisher", "processor", "builder")
        self.ports: dict[str, int] = dict(zip(names, free_ports(3), strict=True))
        publisher = services.publisher(metrics_port=str(self.ports["publisher"]))
        processor = services.processor(metrics_port=str(self.ports["processor"]))
        services.builder(metrics_port=str(self.ports["builder"]))
        api, client = services.api()
        self.rig = Rig(env, services, api, client, publisher, [processor])
        self.rig.wait_ready()

    def metrics(self, process: str) -> dict[tuple[str, ...], float]:
        """The values of a process, by name and the values of their labels, those in order."""
        url = f"{self.rig.client.url}/metrics"
        if process != "api":
            url = f"http://127.0.0.1:{self.ports[process]}/metrics"
        wanted = "application/openmetrics-text; version=1.0.0"
        answer = httpx2.get(
            url, headers={"Accept": wanted}, trust_env=False, verify=TLS, timeout=_TIMEOUT_S
        )
        assert answer.status_code == 200
        assert answer.headers["Content-Type"].startswith("application/openmetrics-text")
        return {
            (sample.name, *sample.labels.values()): sample.value
            for family in cast("Any", parser).text_string_to_metric_families(answer.text)
            for sample in family.samples
        }

    def wait_for(self, process: str, *name: str, value: float) -> None:
        """Return once a metric has this value."""
        wait_until(
            lambda: self.metrics(process).get(name) == value,
            _TIMEOUT_S,
            saying=f"{name} is {value}",
        )


@pytest.fixture
def watched(env: Ground, services: Services) -> Iterator[_Watched]:
    """All processes, ready."""
    started = _Watched(env, services)
    yield started
    started.rig.close()


def test_metrics_count_what_was_done(watched: _Watched) -> None:
    """By the process that did it."""
    rig = watched.rig
    bad = tidy_csv(range(_ROWS, _ROWS + 2)).replace(b"@", b"")
    rig.run(tidy_csv(range(_ROWS)) + bad.partition(b"\n")[2])
    rig.run(tidy_csv(range(_ROWS // 3), word="b"), "upsert")
    assert wait_built(rig.env, request(rig.env, "rebuild"))["state"] == "active"
    api = watched.metrics("api")
    imports = ("POST", "/vpns/api/v1/audience/import", "200")
    assert api["rollcall_http_requests_total", *imports] == 2
    assert api["rollcall_accepted_lines_total", "insert"] == _ROWS + 2
    assert api["rollcall_rejected_lines_total", "insert"] == 2
    assert api["rollcall_http_received_bytes_total",] > sum(map(len, rig.files))
    watched.wait_for("api", "rollcall_open_jobs", value=0)
    publisher = watched.metrics("publisher")
    assert publisher["rollcall_publisher_is_leader",] == 1
    assert publisher["rollcall_published_rows_total", "insert"] == _ROWS + 2
    assert publisher["rollcall_publish_seconds_count",] == 2
    processor = watched.metrics("processor")
    outcomes = {"inserted": _ROWS, "rejected": 2, "updated": _ROWS // 3}
    for outcome, rows in outcomes.items():
        assert processor["rollcall_projected_rows_total", outcome] == rows
    assert processor["rollcall_finished_jobs_total", "upsert", "COMPLETED"] == 1
    assert processor["rollcall_rejections_total", "EMAIL_INVALID"] == 2
    assert processor["rollcall_job_seconds_count",] == 2
    assert processor["rollcall_batch_seconds_count", "project"] > 0
    watched.wait_for("builder", "rollcall_builds_total", "built", "rebuild", value=1)


def test_metrics_tell_that_jobs_wait(watched: _Watched) -> None:
    """While no processor takes them, and no more once one does."""
    rig = watched.rig
    rig.processors[0].freeze()
    job_id = rig.submit(tidy_csv(range(10)))
    watched.wait_for("api", "rollcall_open_jobs", value=1)
    rig.processors[0].thaw()
    rig.wait_ended(job_id)
    watched.wait_for("api", "rollcall_open_jobs", value=0)
    watched.wait_for("api", "rollcall_oldest_open_job_seconds", value=0)
    for component in ("kafka", "postgres", "setup", "jobs"):
        watched.wait_for("api", "rollcall_ready", component, value=1)
    for process, client in (("api", "jobs"), ("publisher", "publisher"), ("processor", "outbox")):
        watched.wait_for(process, "rollcall_kafka_waiting_records", client, value=0)
    for partition in range(3):
        watched.wait_for("processor", "rollcall_lag_records", str(partition), value=0)


def test_every_metric_of_the_table_is_shown(watched: _Watched) -> None:
    """By some process, at least by its name and what it is."""
    shown = "".join(
        httpx2.get(url, trust_env=False, verify=TLS, timeout=_TIMEOUT_S).text
        for url in (
            f"{watched.rig.client.url}/metrics",
            *(f"http://127.0.0.1:{port}/metrics" for port in watched.ports.values()),
        )
    )
    assert {
        name for name in names() if f"# HELP {name.removesuffix('_total')}" not in shown
    } == set()
