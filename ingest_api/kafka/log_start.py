"""Checks from the event loop that the log still begins with its first records."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from ingest_api.errors import LogTruncatedError, LogUnavailableError
from schemas.clients.errors import KafkaUnreachableError
from schemas.clients.log_start import LogStart

if TYPE_CHECKING:
    from collections.abc import Mapping

    from schemas.log.topics import Topic


class LogStartCheck:
    """Asks Kafka for the first offsets of these topics at each check: retention may remove any."""

    def __init__(self, kafka: Mapping[str, str], *topics: Topic) -> None:
        self._start = LogStart(kafka, *topics)

    async def check(self) -> None:
        """Check that every partition still has its first record.

        Raises:
            LogTruncatedError: one hasn't.
            LogUnavailableError: Kafka doesn't answer.
        """
        try:
            missing = await asyncio.to_thread(self._start.missing)
        except KafkaUnreachableError as error:
            raise LogUnavailableError(str(error)) from error
        if missing is not None:
            raise LogTruncatedError(missing)
