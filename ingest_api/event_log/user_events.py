"""Single events to `user-events`, each to the partition that its writer names."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from ingest_api.errors import LogUnavailableError, RecordTooLargeError, UnavailableError
from ingest_api.kafka.producer import Appender, Record
from schemas.codec.codec import encode
from schemas.log.topics import MAX_DEAD_LETTER_BYTES

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from ingest_api.event_log.job_events import JobLog
    from schemas.events import AttributeDefined, UserRow
    from schemas.log.topics import Topic

LOG_HELD: Final = "The log is being moved: nothing was kept, try again"
NOTHING_KEPT: Final = "Kafka can't be reached: nothing was kept, try again"
_APPEND_TIMEOUT_S: Final = 4.0
_BELIEVED_S: Final = 1.0
"""For so long after an acknowledgement Kafka is taken to be there."""


class NotAppendedError(LogUnavailableError):
    """An event is not in the log and will not be."""


class UserLog:
    """Appends to `user-events`; used from one event loop."""

    def __init__(
        self,
        kafka: Mapping[str, str],
        topic: Topic,
        job_log: JobLog,
        reasons: Callable[[], Sequence[str]],
    ) -> None:
        self.partitions = topic.partitions
        self.topic = topic.name
        self._job_log = job_log
        self._reasons = reasons
        # A record that comes again may be as large as its copy among the dead letters was.
        self._appender = Appender(
            kafka, timeout_s=_APPEND_TIMEOUT_S, most_bytes=MAX_DEAD_LETTER_BYTES
        )
        self._believed_until_s = 0.0

    def close(self) -> None:
        """Leave the broker."""
        self._appender.discard()

    async def check(self) -> None:
        """Return where Kafka answers, and the log is not held for a move.

        An append that fails leaves open whether the event is in the log; what is
        found out before has kept nothing for certain.

        Raises:
            UnavailableError: it doesn't, or it is not known yet that the log is the right one.
        """
        if reasons := self._reasons():
            raise UnavailableError(f"{reasons[0]} Nothing was kept, try again")
        if self._job_log.ledger.moves.is_held:
            raise UnavailableError(LOG_HELD)
        if time.monotonic() < self._believed_until_s:
            return
        try:
            await self._job_log.topics()
        except LogUnavailableError:
            raise UnavailableError(NOTHING_KEPT) from None
        self._believe()

    async def append(self, event: UserRow | AttributeDefined, key: bytes, partition: int) -> None:
        """The event is in the log on return.

        Raises:
            NotAppendedError: it is not and will not be.
            LogUnavailableError: it may be, or come to be.
        """
        await self._append(
            Record(topic=self.topic, partition=partition, key=key, value=encode(event))
        )

    async def append_again(
        self,
        key: bytes | None,
        value: bytes | None,
        partition: int,
        headers: Sequence[tuple[str, bytes]],
    ) -> int:
        """A record that was in the log before is in it once more on return; its offset.

        Raises:
            NotAppendedError: it is not and will not be.
            RecordTooLargeError: nor may it ever be, as long as the topic takes none so large.
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
            self._believed_until_s = 0.0
            raise
        self._believe()
        return offset

    def _believe(self) -> None:
        self._believed_until_s = time.monotonic() + _BELIEVED_S
