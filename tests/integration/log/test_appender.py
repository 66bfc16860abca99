"""An append ends, whatever becomes of the producer that it was handed to."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from ingest_api.errors import LogUnavailableError
from ingest_api.kafka.producer import Appender, Record
from ingest_api.kafka.topic_setup import ensure_topics

if TYPE_CHECKING:
    from confluent_kafka import Producer

    from tests.support.servers.surroundings import Ground


class MetByItsEnd:
    """A producer that is discarded by another thread while a record is handed to it."""

    def __init__(self, polled: Any) -> None:
        self._polled = polled
        self._producer: Producer = polled._producer

    def produce(self, *arguments: Any, **more: Any) -> None:
        """Give the serving thread time to throw everything away, then queue the record."""
        self._polled.discard()
        self._polled._thread.join(1)
        self._producer.produce(*arguments, **more)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._producer, name)


def test_a_record_that_meets_the_end_of_its_producer_is_reported(env: Ground) -> None:
    """As not delivered, or as delivered: nobody waits for it for ever."""
    ensure_topics(env.settings)
    record = Record(
        topic=env.settings.topics.uploads.name, partition=0, key=b"k", value=b"v", headers=()
    )

    async def run() -> None:
        appender = Appender(env.settings.kafka, "test", timeout_s=60)
        await appender.append(record)
        polled: Any = appender._polled  # pyright: ignore[reportPrivateUsage] - the end of it is met
        polled._producer = MetByItsEnd(polled)
        async with asyncio.timeout(60):
            with pytest.raises(LogUnavailableError):
                await appender.append(record)
            await appender.append(record)
        appender.discard()

    asyncio.run(run())
