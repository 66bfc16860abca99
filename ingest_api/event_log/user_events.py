"""Appends single events to `user-events`, each to the partition that its writer names."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from ingest_api.errors import LogUnavailableError, RecordTooLargeError, UnavailableError
from ingest_api.kafka.producer import Appender, Record
from schemas.codec.codec import encode
from schemas.events import UserRow
from schemas.log.digests import digest_headers
from schemas.log.topics import MAX_DEAD_LETTER_BYTES

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ingest_api.event_log.job_events import JobLog
    from schemas.config.settings import Settings
    from schemas.events import AttributeDefined

LOG_HELD: Final = "The log is being moved: nothing was kept, try again"
NOTHING_KEPT: Final = "Kafka can't be reached: nothing was kept, try again"
_APPEND_TIMEOUT_S: Final = 4.0
_REACHABLE_S: Final = 1.0
"""For so long after an acknowledgement Kafka is taken to be reachable."""


class NotAppendedError(LogUnavailableError):
    """An event is not in the log and will not be."""


class UserLog:
    """Appends to `user-events`; used from one event loop."""

    def __init__(
        self,
        settings: Settings,
        job_log: JobLog,
        reasons: Callable[[], Sequence[str]],
    ) -> None:
        topic = settings.topics.user_events
        self.partitions = topic.partitions
        self.topic = topic.name
        self._keyring = settings.keyring
        self._job_log = job_log
        self._reasons = reasons
        # A record that comes again may be as large as its copy among the dead letters was.
        self._appender = Appender(
            settings.kafka, "writes", timeout_s=_APPEND_TIMEOUT_S, most_bytes=MAX_DEAD_LETTER_BYTES
        )
        self._reachable_until_s = 0.0

    def close(self) -> None:
        """Close the producer."""
        self._appender.discard()

    async def check(self) -> None:
        """Refuse a write while Kafka doesn't answer or the log is held for a move.

        An append that fails leaves open whether the event is in the log; a refusal before
        it has certainly kept nothing.

        Raises:
            UnavailableError: Kafka doesn't answer, the log is held, or start-up isn't done.
        """
        if reasons := self._reasons():
            raise UnavailableError(f"{reasons[0]} Nothing was kept, try again")
        if self._job_log.ledger.moves.is_held:
            raise UnavailableError(LOG_HELD)
        if time.monotonic() < self._reachable_until_s:
            return
        try:
            await self._job_log.topics()
        except LogUnavailableError:
            raise UnavailableError(NOTHING_KEPT) from None
        self._note_reachable()

    async def append(self, event: UserRow | AttributeDefined, key: bytes, partition: int) -> None:
        """Append the event, a definition signed where there is a key; wait until it is in the log.

        Raises:
            NotAppendedError: it is not and will not be.
            LogUnavailableError: it may be, or come to be.
        """
        value = encode(event)
        is_row = isinstance(event, UserRow)  # who has no key may send those, too
        headers = [] if is_row else digest_headers(self._keyring, self.topic, key, value)
        await self._append(
            Record(topic=self.topic, partition=partition, key=key, value=value, headers=headers)
        )

    async def append_again(
        self,
        key: bytes | None,
        value: bytes | None,
        partition: int,
        headers: Sequence[tuple[str, bytes]],
    ) -> int:
        """Append once more a record that was in the log before; return its new offset.

        Raises:
            NotAppendedError: it is not and will not be.
            RecordTooLargeError: it can't be, as long as the topic takes no record so large.
            LogUnavailableError: it may be, or come to be.
        """
        record = Record(
            topic=self.topic, partition=partition, key=key, value=value, headers=headers
        )
        return await self._append(record)

    async def _append(self, record: Record) -> int:
        try:
            acknowledged = self._appender.append(record)
        except RecordTooLargeError:
            raise
        except LogUnavailableError as error:
            raise NotAppendedError(str(error)) from error
        try:
            offset = await acknowledged
        except LogUnavailableError:
            self._reachable_until_s = 0.0
            raise
        self._note_reachable()
        return offset

    def _note_reachable(self) -> None:
        self._reachable_until_s = time.monotonic() + _REACHABLE_S
