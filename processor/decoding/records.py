"""A Kafka record as the processor reads it, and the time at which the log has it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, Final, Protocol

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_LAST_MS: Final = 253_402_300_799_999
"""The end of the year 9999: what a datetime can hold."""


class Record(Protocol):
    """The fields of a Kafka message that the processor reads."""

    def value(self) -> bytes | None:
        """Return its value as it stands in the log."""
        ...

    def key(self) -> bytes | None:
        """Return its key as it stands in the log."""
        ...

    def offset(self) -> int | None:
        """Return its offset in its partition; None only before it is in a log."""
        ...

    def timestamp(self) -> tuple[int, int]:
        """Return the kind of its timestamp, and the milliseconds since 1970."""
        ...

    def headers(self) -> Any:
        """Return its headers, as pairs of name and value, or None."""
        ...


def recorded_at(record: Record) -> datetime:
    """Return when the log has the record from, to the millisecond, whatever its producer wrote."""
    return moment_of(record.timestamp()[1])


def moment_of(timestamp_ms: int) -> datetime:
    """Return the moment so many milliseconds after 1970, or the nearest that there is."""
    return _EPOCH + timedelta(milliseconds=min(max(timestamp_ms, 0), _LAST_MS))
