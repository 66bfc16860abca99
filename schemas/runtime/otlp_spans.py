"""Spans by OpenTelemetry, exported by OTLP over HTTP; imported only where they are wanted."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Final

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import SpanKind, StatusCode, format_trace_id, get_current_span
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

if TYPE_CHECKING:
    from collections.abc import Generator

    from opentelemetry.trace import Span

    from schemas.runtime.tracing import Beginning

_HEADER: Final = "traceparent"
_W3C: Final = TraceContextTextMapPropagator()


class OtlpSpans:
    """The spans of one service; ``OTEL_…`` variables say where they go, and which are kept.

    ``service`` is its name where they name none.
    """

    def __init__(self, service: str) -> None:
        # Resource.create lets a name that is given here win over the environment's.
        named = Resource.create({"service.name": service}).merge(OTELResourceDetector().detect())
        self._provider = TracerProvider(resource=named)
        self._provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
        self._tracer = self._provider.get_tracer("rollcall")

    def stop(self) -> None:
        """Export what is left."""
        self._provider.shutdown()

    @contextlib.contextmanager
    def span(self, begun: Beginning) -> Generator[Span]:
        """Make a span of what is done within; an exception that leaves it is told in it."""
        parent = begun.parent and _W3C.extract({_HEADER: begun.parent})
        start_ns = begun.at and int(begun.at.timestamp() * 1e9)
        with self._tracer.start_as_current_span(
            begun.name,
            parent or None,
            SpanKind[begun.kind],
            begun.attributes,
            start_time=start_ns or None,
        ) as span:
            yield span

    def note_failure(self, reason: str) -> None:
        """Give the current span the status of an error."""
        get_current_span().set_status(StatusCode.ERROR, reason)

    def traceparent(self) -> str | None:
        """Return the header's text for what the current span causes, None outside of any."""
        carrier: dict[str, str] = {}
        _W3C.inject(carrier)
        return carrier.get(_HEADER)

    def trace_id(self) -> str | None:
        """Return the id of the current trace, None outside of any."""
        context = get_current_span().get_span_context()
        return format_trace_id(context.trace_id) if context.is_valid else None
