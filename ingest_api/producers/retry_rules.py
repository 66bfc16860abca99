"""Decides which dead letters may be retried, and where their records go.  Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ingest_api.errors import ConflictError
from ingest_api.producers.later_changes import would_set
from ingest_api.web.parameters import whole_number
from schemas.codec.codec import UndecodableError, decode
from schemas.events import UserRow
from schemas.log.topics import partition_of

if TYPE_CHECKING:
    from ingest_api.producers.dead_letter_topic import DeadLetter
    from ingest_api.producers.key_state import KeyState
    from ingest_api.producers.later_changes import Changes

NOT_RETRIED: Final = "The dead letter can't be retried"


def retried_key(dead_letter: DeadLetter, value: bytes | None) -> str | None:
    """Return the key that a retry may change something of; None where it can change nothing."""
    event = retriable_row(value)
    key = dead_letter.key
    if key is None or (event is not None and event.key.encode() != key):
        return None
    try:
        return key.decode()
    except UnicodeDecodeError:
        return None


def changes_of(value: bytes | None, state: KeyState) -> Changes | None:
    """Return what a retry would set now, by field; None where its event can't be read here."""
    event = retriable_row(value)
    return None if event is None else would_set(event, state.holder, state.rules.types)


def dead_letter_place(letter_id: str) -> tuple[int, int] | None:
    """Return the partition and the offset that an id says, or None where it is none."""
    partition, dash, offset = letter_id.partition("-")
    numbers = whole_number(partition, 2**31 - 1), whole_number(offset)
    if not dash or numbers[0] is None or numbers[1] is None:
        return None
    return numbers[0], numbers[1]


def retry_partition(
    dead_letter: DeadLetter, value: bytes | None, source_topic: str, partitions: int
) -> int:
    """Return the partition for the record: its key's, else the one where it was.

    Raises:
        ConflictError: it may not be retried.
    """
    came_from = whole_number(dead_letter.headers.get("source-partition", ""), partitions - 1)
    if dead_letter.headers.get("source-topic") != source_topic or came_from is None:
        raise not_retried(f"it does not say which partition of {source_topic} it was in")
    event = retriable_row(value)
    if event is None:
        return came_from
    key = event.key.encode()
    return partition_of(key, partitions) if dead_letter.key == key else came_from


def moved_partition(dead_letter: DeadLetter, value: bytes | None, partitions: int) -> int:
    """Return the partition for a record from before the log was moved, whose own is no more.

    Raises:
        ConflictError: it may not be retried.
    """
    retriable_row(value)
    if dead_letter.key is None:
        raise not_retried(
            "the log was moved since, and without a key the record belongs to no partition of it"
        )
    return partition_of(dead_letter.key, partitions)


def check_key(key_of_log: str | None, key_now: str) -> None:
    """Return where the log that a dead letter comes from had the key that the log has now.

    Raises:
        ConflictError: it hadn't, or nobody knows.
    """
    if key_of_log is None:
        raise not_retried(
            "it comes from a version of the log whose job-events is gone, so it is not known what"
            " its key means: send the event again"
        )
    if key_of_log != key_now:
        raise not_retried(
            f"its key is of the log as it was, by {key_of_log}, and the log was moved to the key"
            f" {key_now} since: send the event again, with its user's {key_now} as the key"
        )


def retriable_row(value: bytes | None) -> UserRow | None:
    """Return the row that is to be retried; None where it can't be read here, or only not yet.

    Raises:
        ConflictError: it may not be retried.
    """
    try:
        event = decode(value)
    except UndecodableError:
        return None
    job_id: int | None = getattr(event, "job_id", None)
    if job_id is not None:
        raise not_retried(
            f"it names job {job_id}, whose records come again by the job's own pass only: outside"
            " of it this is a repeat, which changes nothing, or poison"
        )
    if not isinstance(event, UserRow):
        raise not_retried(f"other producers send UserRow, and this is {type(event).__name__}")
    return event


def not_retried(why: str) -> ConflictError:
    """Return the dead letter may not be retried, and why."""
    return ConflictError(f"{NOT_RETRIED}: {why}")
