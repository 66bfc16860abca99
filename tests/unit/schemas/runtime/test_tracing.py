"""Traces cost nothing where nobody has asked for them."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from typing import TYPE_CHECKING

from structlog.testing import capture_logs

from schemas.runtime.tracing import Beginning, Traces, traceparent_in
from tests.support.checkout import CHECKOUT

if TYPE_CHECKING:
    import pytest

_IMPORTS = """
import os, sys
import ingest_api.app.server, ingest_api.publisher.main, processor.worker.main
from schemas.runtime.tracing import TRACES
TRACES.start("api", {"OTEL_EXPORTER_OTLP_ENDPOINT": ""})
print([name for name in sys.modules if name.startswith("opentelemetry")])
"""


def test_without_an_endpoint_no_service_loads_opentelemetry() -> None:
    """It takes memory, time and, in its own thread, a share of the processor."""
    found = subprocess.run(
        [sys.executable, "-P", "-c", _IMPORTS],
        env={"PYTHONPATH": str(CHECKOUT)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert found.stdout.strip() == "[]"


def test_without_the_extra_a_service_says_so_and_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """A trace that is missing is no reason not to take files."""

    def find_nothing(_name: str) -> None:
        return None

    monkeypatch.setattr(importlib.util, "find_spec", find_nothing)
    traces = Traces()
    with capture_logs() as lines:
        traces.start("api", {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318"})
    assert [line["event"] for line in lines] == ["traces are not exported"]
    with traces.span(Beginning("GET")) as span:
        assert (span, traces.headers()) == (None, [])


def test_a_traceparent_is_found_in_headers_of_records_and_of_requests() -> None:
    """Kafka's client gives names as text, ASGI as bytes; a value may be missing or any bytes."""
    assert traceparent_in([("other", b"x"), ("traceparent", b"00-1")]) == "00-1"
    assert traceparent_in([(b"traceparent", b"00-2")]) == "00-2"
    assert traceparent_in([("traceparent", None)]) is None
    assert traceparent_in([("traceparent", b"\xff")]) == "\ufffd"
    assert traceparent_in(None) is None
