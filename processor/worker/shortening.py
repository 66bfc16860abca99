"""Shortens records that are too large for their topic, so that they hold up nobody.

A dead letter may be larger than the record was in the log: there it was compressed.
Pure.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from schemas.codec.codec import UndecodableError, decode, encode
from schemas.events import JobStatus
from schemas.log.dead_letters import LEFT_OUT

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_LONGEST_TEXT: Final = 200


@dataclass(frozen=True, slots=True)
class OutboxRow:
    """A record of the outbox."""

    id: int
    topic: str
    key: bytes | None
    value: bytes | None
    headers: Mapping[str, Any]

    @property
    def size_bytes(self) -> int:
        """The size of key and value."""
        return len(self.key or b"") + len(self.value or b"")


def shortened(record: OutboxRow) -> Iterator[OutboxRow]:
    """Yield stand-ins, each shorter than the one before; none where nothing can be left out."""
    if "source-topic" in record.headers:
        yield _without(record, "value")
        yield _without(record, "value", "key")
    elif record.value is not None:
        yield from _shortened_status(record)


def _without(row: OutboxRow, *parts: str) -> OutboxRow:
    """Leave parts of a dead letter out: the headers say where the whole one stands already."""
    sizes = {part: len(getattr(row, part) or b"") for part in parts}
    note = ", ".join(f"{part} of {size} bytes" for part, size in sizes.items())
    headers = {**row.headers, LEFT_OUT: note}
    key = None if "key" in parts else row.key
    return replace(row, key=key, value=None, headers=headers)


def _shortened_status(record: OutboxRow) -> Iterator[OutboxRow]:
    try:
        status = decode(record.value)
    except UndecodableError:
        return
    if isinstance(status, JobStatus):
        name = status.file_name
        short = replace(
            status,
            file_name=None if name is None else _cut(name),
            accepted_by=_cut(status.accepted_by),
        )
        yield replace(record, value=encode(short))


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST_TEXT else f"{text[:_LONGEST_TEXT]}…"
