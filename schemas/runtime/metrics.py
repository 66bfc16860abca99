"""Metrics of a process, in the OpenMetrics format: where they are shown.

Each package declares its own in a module ``metrics``, near what it counts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from prometheus_client import REGISTRY, start_http_server
from prometheus_client.openmetrics.exposition import CONTENT_TYPE_LATEST, generate_latest

from schemas.config.environment import SettingsError

if TYPE_CHECKING:
    from schemas.config.metrics import MetricsSettings

CONTENT_TYPE: Final = CONTENT_TYPE_LATEST
BUCKETS_S: Final = (0.005, 0.02, 0.1, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 120.0, 600.0)
"""Of what takes from milliseconds to minutes."""


def metrics_text() -> bytes:
    """Return all metrics of this process."""
    return generate_latest(REGISTRY)


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
