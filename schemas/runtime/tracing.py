"""Traces: the way of a job through the services, exported by OTLP where an endpoint is set.

One trace leads from an upload's request to the switch: its context goes along in the header
``traceparent`` (W3C Trace Context) of a job's ``JobAccepted``, ``JobOpened`` and ``JobSealed``.
A span is made of a request, a pass and a job's projection, never of a row or a batch.

Where no endpoint is set nothing of OpenTelemetry is imported, and nothing here does anything.
"""

from __future__ import annotations

import contextlib
import importlib.util
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal

import structlog

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime

    from opentelemetry.trace import Span
    from structlog.typing import EventDict

    from schemas.runtime.otlp_spans import OtlpSpans

_HEADER: Final = "traceparent"
_ENDPOINTS: Final = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
_log = structlog.stdlib.get_logger("rollcall.process")


@dataclass(frozen=True, slots=True)
class Beginning:
    """How a span begins: now, or ``at`` an earlier time.

    ``parent`` is a ``traceparent``, of another process as a rule; without one that can be read,
    the current span is the parent, and outside of any a trace begins.
    """

    name: str
    parent: str | None = None
    kind: Literal["SERVER", "CONSUMER", "INTERNAL"] = "INTERNAL"
    at: datetime | None = None
    attributes: Mapping[str, str | int] = field(default_factory=dict[str, "str | int"])


class Traces:
    """The spans of this process; none before :meth:`start`."""

    def __init__(self) -> None:
        self._spans: OtlpSpans | None = None

    def start(self, service: str, environ: Mapping[str, str]) -> None:
        """Export spans from now on, if the environment says where to."""
        if not any(map(environ.get, _ENDPOINTS)):
            return
        if importlib.util.find_spec("opentelemetry") is None:
            _log.warning("traces are not exported", reason="the extra `traces` is not installed")
            return
        from schemas.runtime.otlp_spans import OtlpSpans  # noqa: PLC0415 - 17 MB and a third of a second

        self._spans = OtlpSpans(f"rollcall-{service}")

    def stop(self) -> None:
        """Export what is left, as the interpreter's end does too."""
        if self._spans is not None:
            self._spans.stop()
            self._spans = None

    def span(self, begun: Beginning) -> contextlib.AbstractContextManager[Span | None]:
        """Return a context whose span is what is done within; yields None where there are none."""
        return contextlib.nullcontext() if self._spans is None else self._spans.span(begun)

    def note_failure(self, reason: str) -> None:
        """Say in the current span that what it is of has failed, though nothing is raised."""
        if self._spans is not None:
            self._spans.note_failure(reason)

    def headers(self) -> list[tuple[str, bytes]]:
        """Return the headers of a record that continues the current span; none outside of any."""
        traceparent = self._spans and self._spans.traceparent()
        return [(_HEADER, traceparent.encode())] if traceparent else []

    def add_trace_id(self, _logger: object, _method: str, event: EventDict) -> EventDict:
        """Add the current trace's id to a line of the log."""
        if self._spans is not None and (trace_id := self._spans.trace_id()):
            event["trace_id"] = trace_id
        return event


TRACES: Final = Traces()


def traceparent_in(headers: Iterable[tuple[Any, Any]] | None) -> str | None:
    """Return the ``traceparent`` of a record's or request's headers, None where it has none."""
    for name, value in headers or ():
        if name in (_HEADER, _HEADER.encode()):
            return value.decode("ascii", "replace") if isinstance(value, bytes) else value
    return None
