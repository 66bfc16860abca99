"""A dead letter as JSON for administrators; whatever its record holds, this never fails."""

from __future__ import annotations

import base64
from dataclasses import asdict
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any, Final

import msgspec
from msgspec import Meta

from ingest_api.openapi.response_types import Count, Date, Id
from ingest_api.web.dates import date_text
from ingest_api.web.parameters import whole_number
from ingest_api.web.refused import Refusal
from schemas.codec.codec import UndecodableError, decode
from schemas.events import JobMode, RowMode, UserRow

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ingest_api.producers.dead_letter_retries import Row
    from ingest_api.producers.dead_letter_topic import DeadLetter
    from ingest_api.producers.later_changes import Change
    from schemas.events import JobAccepted

_MOST_VALUE_BYTES: Final = 1 << 20
_MOST_KEY_BYTES: Final = 2048
_LAST_MS: Final = 253_402_300_799_000
"""The end of the year 9999: a record may say any time, a datetime can't."""
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)

LetterId = Annotated[
    str, Meta(pattern="^[0-9]{1,10}-[0-9]{1,19}$", description="Its partition and its offset.")
]


class RetryShown(msgspec.Struct, frozen=True, rename="camel"):
    """An attempt: the record was sent to the log once more."""

    retried_date: Date
    retried_by: str
    partition: Annotated[int, Meta(description="Of `user-events`, that it went to.")]
    offset: Annotated[
        int | None, Meta(description="Of the record; null where it is not known if it arrived.")
    ]


class DeadLetterShown(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A record that could not be applied."""

    id: LetterId
    reason: Annotated[str | None, Meta(description="A code, for programs.")]
    detail: Annotated[str | None, Meta(description="What is wrong, and what to do.")]
    recorded_date: Annotated[Date | None, Meta(description="When it became a dead letter.")]
    source_topic: str | None
    source_partition: int | None
    source_offset: int | None
    key: Annotated[
        str | None, Meta(description="Of the record, as text; its first 2 KiB; null without one.")
    ]
    value_bytes: Count
    retried: Annotated[RetryShown | None, Meta(description="The last attempt, if there was one.")]


class DeadLetterPage(msgspec.Struct, frozen=True, rename="camel"):
    """A page of dead letters, the newest first."""

    total: Annotated[
        Count, Meta(description="How many the filters take, among those that were searched.")
    ]
    searched: Annotated[
        Count,
        Meta(description="Less than `all` where the time was over: the oldest are left out."),
    ]
    all: Annotated[Count, Meta(description="How many dead letters there are.")]
    dead_letters: list[DeadLetterShown]


class WholeDeadLetter(DeadLetterShown, frozen=True, kw_only=True, rename="camel"):
    """A dead letter with what the record holds."""

    key_base64: Annotated[str | None, Meta(description="The whole key.")]
    value_base64: Annotated[
        str | None, Meta(description="The first MiB of the value; null without one.")
    ]
    event_type: Annotated[str | None, Meta(description="Null where the value is no event.")]
    event: Annotated[
        dict[str, Any] | None, Meta(description="The event's fields, by their names in the schema.")
    ]
    undecodable: Annotated[str | None, Meta(description="Why the value is no event.")]
    attempts: Annotated[list[RetryShown], Meta(description="All retries, the first one first.")]


class ChangedBy(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The event that changed a letter's key after the letter."""

    mode: Annotated[
        JobMode | RowMode,
        Meta(description="`delsert` without a line: the job's file has not got the key."),
    ]
    date: Date
    recorded_date: Annotated[Date | None, Meta(description="When the log had it.")]
    job_id: Annotated[Id | None, Meta(description="Null where it is of no job.")]
    file_name: str | None
    imported_by: str | None
    line: int | None
    record_number: int | None
    source: Annotated[str | None, Meta(description="As another producer, or the API, names it.")]
    partition: Annotated[Count, Meta(description="Of `user-events`.")]
    offset: Count


class FieldChange(msgspec.Struct, frozen=True, rename="camel"):
    """A field that a retry would change."""

    now: str | bool | float | None
    would_be: str | bool | float | None


class RefusedRetry(Refusal, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """A retry that would go over what is newer than the letter."""

    changed_by: ChangedBy
    would_set: Annotated[
        dict[str, FieldChange] | None,
        Meta(
            description="What the retry would change, by field; empty where it would be refused"
            " or change nothing, null where the event can't be read here."
        ),
    ]


def changed_by(change: Change, partition: int, accepted: JobAccepted | None) -> ChangedBy:
    """Return the change as it is answered; ``accepted`` is its job's, None where it is of none."""
    event = change.event
    row = event if isinstance(event, UserRow) else None
    return ChangedBy(
        mode=event.mode if accepted is None else accepted.mode,
        date=date_text(event.occurred_at if isinstance(event, UserRow) else event.accepted_at),
        recorded_date=_date(change.recorded_ms),
        job_id=None if event.job_id is None else str(event.job_id),
        file_name=accepted and accepted.file_name,
        imported_by=accepted and accepted.accepted_by,
        line=row and row.line,
        record_number=row and row.record_number,
        source=row and row.source,
        partition=partition,
        offset=change.offset,
    )


def changed_text(change: ChangedBy) -> str:
    """Return in words what changed a key."""
    place = f"partition {change.partition}, offset {change.offset}"
    when = f"recorded {change.recorded_date or 'at no known time'} in {place}"
    if change.job_id is None:
        sender = change.source or "a producer that names no source"
        return f"an event ({change.mode}) of {sender}, {when}"
    job = f"job {change.job_id} ({change.mode} of {change.file_name or 'a file without a name'})"
    if change.line is None:
        return f"{job}, which removed everybody who is not in its file, {when}"
    return f"line {change.line} of {job}, {when}"


def dead_letter_view(dead_letter: DeadLetter, attempts: Sequence[Row]) -> DeadLetterShown:
    """Return the dead letter as in a list; ``attempts`` at it, the first one first."""
    return DeadLetterShown(**_fields(dead_letter, attempts))


def whole_dead_letter_view(
    dead_letter: DeadLetter, value: bytes | None, attempts: Sequence[Row]
) -> WholeDeadLetter:
    """Return the dead letter with its value and all attempts."""
    event_type, event, undecodable = _decoded(value)
    return WholeDeadLetter(
        **_fields(dead_letter, attempts),
        key_base64=_base64(dead_letter.key),
        value_base64=_base64(value and value[:_MOST_VALUE_BYTES]),
        event_type=event_type,
        event=event,
        undecodable=undecodable,
        attempts=[_attempt(row) for row in attempts],
    )


def _fields(dead_letter: DeadLetter, attempts: Sequence[Row]) -> dict[str, Any]:
    headers = dead_letter.headers
    key = dead_letter.key
    return {
        "id": f"{dead_letter.partition}-{dead_letter.offset}",
        "reason": headers.get("reason"),
        "detail": headers.get("detail"),
        "recorded_date": _date(dead_letter.time_ms),
        "source_topic": headers.get("source-topic"),
        "source_partition": whole_number(headers.get("source-partition", "")),
        "source_offset": whole_number(headers.get("source-offset", "")),
        "key": None if key is None else key[:_MOST_KEY_BYTES].decode(errors="replace"),
        "value_bytes": dead_letter.value_bytes,
        "retried": _attempt(attempts[-1]) if attempts else None,
    }


def _attempt(row: Row) -> RetryShown:
    return RetryShown(
        date_text(row["retried_at"]), row["retried_by"], row["to_partition"], row["to_offset"]
    )


def _date(time_ms: int) -> str | None:
    if not 0 <= time_ms <= _LAST_MS:
        return None
    return date_text(_EPOCH + timedelta(milliseconds=time_ms))


def _base64(data: bytes | None) -> str | None:
    return None if data is None else base64.b64encode(data).decode()


def _decoded(value: bytes | None) -> tuple[str | None, dict[str, Any] | None, str | None]:
    try:
        event = decode(value)
    except UndecodableError as error:
        return None, None, str(error)
    fields = {name: _json_value(name, each) for name, each in asdict(event).items()}
    return type(event).__name__, fields, None


def _json_value(name: str, value: Any) -> Any:
    """Return a field as JSON has it: times in ISO 8601, ids as texts."""
    if isinstance(value, date):
        return value.isoformat()
    return str(value) if isinstance(value, int) and name.endswith("_id") else value
