"""Where a process shows its metrics."""

from __future__ import annotations

from typing import Annotated

from schemas.config.declared import Section, text, whole


class MetricsSettings(Section, frozen=True, kw_only=True):
    """A port beside all others: who may see metrics need not have an account."""

    metrics_host: Annotated[str, text("address that metrics are shown on")] = "127.0.0.1"
    metrics_port: Annotated[
        int,
        whole(
            0,
            65_535,
            "TCP port of `/metrics`, without credentials; 0 for none. Of the processes that one"
            " command starts, each next one takes the next port",
        ),
    ] = 0
