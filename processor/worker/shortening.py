"""What is sent in place of a record that its topic never takes, because it is too large.

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
class Outgoing:
    """A record of the outbox."""

    id: int
    topic: str
    key: bytes | None
    value: bytes | None
    headers: Mapping[str, Any]

    @property
    def size_bytes(self) -> int:
        """Of key and value."""
        return len(self.key or b"") + len(self.value or b"")


def shortened(record: Outgoing) -> Iterator[Outgoing]:
    """Stand-ins, each shorter than the one before; none where nothing can be left out."""
    if "source-topic" in record.headers:
        yield _without(record, "value")
        yield _without(record, "value", "key")
    elif record.value is not None:
        yield from _shortened_status(record)


def _without(dead_letter: Outgoing, *parts: str) -> Outgoing:
    """The headers say where the whole record stands already."""
    sizes = {part: len(getattr(dead_letter, part) or b"") for part in parts}
    note = ", ".join(f"{part} of {size} bytes" for part, size in sizes.items())
    headers = {**dead_letter.headers, LEFT_OUT: note}
    key = None if "key" in parts else dead_letter.key
    return replace(dead_letter, key=key, value=None, headers=headers)


def _shortened_status(record: Outgoing) -> Iterator[Outgoing]:
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
