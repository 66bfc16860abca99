"""Metrics of a process, in the OpenMetrics format: where they are shown.

Each package declares its own in a module ``metrics``, near what it counts.
"""

from __future__ import annotations

from typing import Annotated, Final

from prometheus_client import REGISTRY, disable_created_metrics, start_http_server
from prometheus_client.exposition import choose_encoder

from schemas.config.declared import Section, text, whole
from schemas.config.environment import SettingsError

disable_created_metrics()  # a series more for each counter, of which none is read
BUCKETS_S: Final = (0.005, 0.02, 0.1, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 120.0, 600.0)
"""Of what takes from milliseconds to minutes."""


class MetricsSettings(Section, frozen=True, kw_only=True):
    """For the processes that have no other port; the API shows them at its own."""

    metrics_host: Annotated[str, text("address that metrics are shown on")] = "127.0.0.1"
    metrics_port: Annotated[
        int,
        whole(
            0,
            65_535,
            "TCP port of `/metrics` of a publisher, processor or builder, 0 for none; of the"
            " processes that one command starts, each next one takes the next port",
        ),
    ] = 0


def metrics_text(accept: str) -> tuple[bytes, str]:
    """Return all metrics of this process, and the content type that ``Accept`` asks for.

    That is OpenMetrics where it is named, else Prometheus' own text.
    """
    encode, content_type = choose_encoder(accept)
    return encode(REGISTRY), content_type


def serve_metrics(settings: MetricsSettings) -> None:
    """Show the metrics at ``/metrics`` of the port that is set, without credentials; 0: nowhere.

    Raises:
        SettingsError: the port can't be listened on.
    """
    if not settings.metrics_port:
        return
    try:
        start_http_server(settings.metrics_port, settings.metrics_host)
    except OSError as error:
        raise SettingsError(
            f"ROLLCALL_METRICS_HOST and ROLLCALL_METRICS_PORT: can't listen on"
            f" {settings.metrics_host} port {settings.metrics_port}: {error.strerror}."
        ) from error
