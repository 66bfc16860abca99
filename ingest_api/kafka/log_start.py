"""Checks that the log still has its first records: everything built from it needs them."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any, Final, cast

from confluent_kafka import KafkaException, TopicPartition
from confluent_kafka.admin import OffsetSpec

from ingest_api.errors import LogTruncatedError, LogUnavailableError
from schemas.clients.kafka import make_admin
from schemas.log.truncation import truncated

if TYPE_CHECKING:
    from collections.abc import Mapping

    from schemas.log.topics import Topic

_TIMEOUT_S: Final = 4.0
_PAUSE_S: Final = 0.05


class LogStart:
    """Asks Kafka for the first offsets of these topics at each check: retention may remove any."""

    def __init__(self, kafka: Mapping[str, str], *topics: Topic) -> None:
        self._places = [
            TopicPartition(topic.name, partition)
            for topic in topics
            for partition in range(topic.partitions)
        ]
        self._admin = make_admin(kafka)

    async def check(self) -> None:
        """Check that every partition still has its first record.

        Raises:
            LogTruncatedError: one hasn't.
            LogUnavailableError: Kafka doesn't answer.
        """
        missing = await asyncio.to_thread(self.missing)
        if missing is not None:
            raise LogTruncatedError(missing)

    def missing(self) -> str | None:
        """Return what the first truncated partition has lost, and what to do; None if none has.

        Raises:
            LogUnavailableError: Kafka doesn't answer.
        """
        for place, begin in zip(self._places, self._begins(), strict=True):
            if begin > 0:
                return truncated(place.topic, place.partition, begin)
        return None

    def _begins(self) -> list[int]:
        earliest: dict[Any, Any] = {place: OffsetSpec.earliest() for place in self._places}
        deadline_s = time.monotonic() + _TIMEOUT_S
        while True:
            try:
                answers = cast(
                    "dict[Any, Any]",
                    self._admin.list_offsets(earliest, request_timeout=_TIMEOUT_S),
                )
                return [answers[place].result().offset for place in self._places]
            except KafkaException as error:
                # The leader may have moved, or not yet been elected for a new topic.
                if time.monotonic() > deadline_s:
                    raise LogUnavailableError(str(error)) from error
            time.sleep(_PAUSE_S)
