"""Traces, as a collector gets them: by OTLP over HTTP, from every process that a job passes."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

from tests.support.clients.client import BASE
from tests.support.data.files import tidy_csv
from tests.support.servers.rig import Rig
from tests.support.servers.services import Services
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.servers.services import Service
    from tests.support.servers.surroundings import Ground

_TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
_CLIENT_SPAN = "00f067aa0ba902b7"
_WAY = [f"POST {BASE}/audience/import", "publish", "project", "switch"]


class _Collector:
    """Receives traces as any collector does, and keeps their spans, with the service of each."""

    def __init__(self) -> None:
        self.spans: list[tuple[str, Any]] = []
        spans = self.spans

        class _Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                assert self.path == "/v1/traces"
                assert self.headers["Content-Type"] == "application/x-protobuf"
                body = self.rfile.read(int(self.headers["Content-Length"]))
                for of_service in ExportTraceServiceRequest.FromString(body).resource_spans:
                    told = {each.key: each.value for each in of_service.resource.attributes}
                    service = told["service.name"].string_value
                    for scope in of_service.scope_spans:
                        spans.extend((service, span) for span in scope.spans)
                answer = ExportTraceServiceResponse().SerializeToString()
                self.send_response(200)
                self.send_header("Content-Type", "application/x-protobuf")
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name there
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever)
        self._thread.start()

    def of_trace(self, trace_id: str) -> list[tuple[str, Any]]:
        """The spans of one trace, those that began first before the others."""
        found = [each for each in self.spans if each[1].trace_id.hex() == trace_id]
        return sorted(found, key=lambda each: each[1].start_time_unix_nano)

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@pytest.fixture
def collector() -> Iterator[_Collector]:
    """A collector that listens on this machine."""
    started = _Collector()
    yield started
    started.close()


@pytest.fixture
def traced(env: Ground, collector: _Collector, tmp_path: Path) -> Iterator[Rig]:
    """An installation that exports what it does."""
    environ = {
        **env.environ,
        "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url,
        "OTEL_BSP_SCHEDULE_DELAY": "100",
    }
    with Services(environ, tmp_path) as services:
        rig = Rig.start(env, services)
        yield rig
        rig.close()


def _lines(service: Service, message: str) -> list[dict[str, str]]:
    lines = [json.loads(line) for line in service.log_text().splitlines() if line[:1] == "{"]
    return [line for line in lines if line["message"] == message]


def test_an_upload_is_one_trace_through_three_processes(traced: Rig, collector: _Collector) -> None:
    """From the client's own span through the request and Kafka to the switch of generations."""
    sent = {"traceparent": f"00-{_TRACE}-{_CLIENT_SPAN}-01"}
    job_id = traced.submit(tidy_csv(range(200)), "delsert", headers=sent)
    traced.wait_ended(job_id)
    wait_until(lambda: len(collector.of_trace(_TRACE)) >= len(_WAY), 30, saying="all is exported")
    found = {span.name: (service, span) for service, span in collector.of_trace(_TRACE)}
    assert sorted(found) == sorted(_WAY)
    assert [found[name][0] for name in _WAY] == [
        "rollcall-api", "rollcall-publisher", "rollcall-processor", "rollcall-processor",
    ]  # fmt: skip
    parents = [found[name][1].parent_span_id.hex() for name in _WAY]
    assert parents == [_CLIENT_SPAN, *(found[name][1].span_id.hex() for name in _WAY[:-1])]
    for _, span in found.values():
        told = {each.key: each.value.string_value for each in span.attributes}
        assert told.get("rollcall.job_id", str(job_id)) == str(job_id)
    # And whoever has one of its log lines finds all of it.
    told = [
        *(line for line in _lines(traced.api, "request") if line["method"] == "POST"),
        *_lines(traced.publisher, "job published"),
        *_lines(traced.processors[0], "job finished"),
    ]
    assert [(line["trace_id"], line["job_id"]) for line in told] == [(_TRACE, str(job_id))] * 3
    assert "request_id" in told[0]
