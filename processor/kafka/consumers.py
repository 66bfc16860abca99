"""A consumer outside every group, for whoever reads the log again by assignment."""

from __future__ import annotations

import logging
import uuid
from typing import TYPE_CHECKING, Any, Final

from confluent_kafka import Consumer

if TYPE_CHECKING:
    from collections.abc import Mapping

    from schemas.config.settings import Settings


READ_TO_END: Final[dict[str, Any]] = {"enable.partition.eof": True, "auto.offset.reset": "earliest"}
"""Properties of who reads a topic to its end from its first record on, whichever that is now.

From offset 0, because librdkafka takes half a second to find out what ``OFFSET_BEGINNING`` is.
"""


def consumer_outside_groups(
    settings: Settings, purpose: str, properties: Mapping[str, Any] | None = None
) -> Consumer:
    """Nothing is committed, and an offset that the log does not hold is an error.

    librdkafka requires a group's name, which is never joined; ``purpose`` shows in it.
    ``properties`` are further ones of librdkafka.
    """
    return Consumer(
        settings.kafka
        | {
            "group.id": f"{settings.group}-{purpose}-{uuid.uuid4()}",
            "enable.auto.commit": False,
            "auto.offset.reset": "error",
            # The end of a partition is told by a fetch that waited for nothing.
            "fetch.wait.max.ms": 50,
            **(properties or {}),
        },
        logger=logging.getLogger("rollcall.kafka"),
    )
