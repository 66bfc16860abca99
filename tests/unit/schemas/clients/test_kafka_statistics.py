"""Metrics of librdkafka's own statistics."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest
from prometheus_client import REGISTRY

from schemas.clients.kafka_statistics import statistics
from tests.support.checkout import CHECKOUT


def _report(*, failures: int, rebalances: int = 0) -> str:
    learned: dict[str, Any] = {
        "nodename": "kafka:9092", "nodeid": 1, "source": "learned", "rtt": {"avg": 2_500},
        "txerrs": failures, "rxerrs": 1, "req_timeouts": 1,
    }  # fmt: skip
    logical = {**learned, "nodename": "", "source": "logical"}
    bootstrap = {**learned, "nodename": "first:9092", "nodeid": -1, "source": "configured"}
    topic = {"partitions": {"0": {"fetchq_cnt": 3}, "-1": {"fetchq_cnt": 0}}}
    return json.dumps(
        {
            "name": "rdkafka#producer-1",
            "msg_cnt": 4,
            "brokers": {"a": learned, "b": logical, "c": bootstrap},
            "topics": {"user-events": topic},
            "cgrp": {"rebalance_cnt": rebalances},
        }
    )


def _shown(client: str) -> dict[tuple[str, ...], float]:
    return {
        (sample.name, sample.labels.get("broker", "")): sample.value
        for family in REGISTRY.collect()
        for sample in family.samples
        if sample.labels.get("client") == client
    }


def test_a_report_is_shown_by_broker_and_client() -> None:
    """Only of brokers that have said who they are, each once."""
    statistics("shown")["stats_cb"](_report(failures=5, rebalances=2))
    assert _shown("shown") == {
        ("rollcall_kafka_waiting_records", ""): 7,
        ("rollcall_kafka_round_trip_seconds", "kafka:9092"): 0.0025,
        ("rollcall_kafka_failures_total", "kafka:9092"): 7,
        ("rollcall_kafka_rebalances_total", ""): 2,
    }


def test_counters_go_on_where_a_client_is_made_anew() -> None:
    """Its own totals begin at 0 again."""
    first = statistics("anew")["stats_cb"]
    first(_report(failures=5))
    first(_report(failures=6))
    statistics("anew")["stats_cb"](_report(failures=1))
    assert _shown("anew")["rollcall_kafka_failures_total", "kafka:9092"] == 8 + 3


_AT_ONCE = """
import sys, threading
from schemas.clients.kafka_statistics import statistics

sys.setswitchinterval(1e-6)
together = threading.Barrier(12)

def report(client):
    together.wait()
    statistics(client)["stats_cb"](sys.argv[1])

threads = [threading.Thread(target=report, args=(str(number),)) for number in range(12)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
"""


@pytest.mark.parametrize("attempt", range(3))
def test_the_first_reports_of_a_process_may_come_at_once(attempt: int) -> None:
    """A service that has just started does not end with SIGSEGV, as msgspec would have it."""
    command = [sys.executable, "-P", "-c", _AT_ONCE, _report(failures=attempt)]
    done = subprocess.run(command, env={"PYTHONPATH": str(CHECKOUT)}, check=False)
    assert done.returncode == 0
