"""librdkafka's properties for whoever reads a stretch of a topic while a request waits."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping


def reading_properties(kafka: Mapping[str, str], group: str) -> dict[str, Any]:
    """Quick to begin, little read ahead; an offset that the log does not hold is an error.

    ``group`` is required by librdkafka, and never joined.
    """
    return {
        **kafka,
        "group.id": group,
        "enable.auto.commit": False,
        "auto.offset.reset": "error",
        "fetch.error.backoff.ms": 20,
        "fetch.queue.backoff.ms": 10,
        "fetch.wait.max.ms": 20,
        "queued.max.messages.kbytes": 16_384,
        "reconnect.backoff.max.ms": 1000,
    }
