"""Encodes single events as framed Avro values, and decodes them, by fastavro.

A writer's schema that differs from ours is resolved to ours as Avro defines it, but for one
thing: an unknown symbol of an enum is an error, and never read as the enum's default.

Whole batches are encoded and decoded by :mod:`schemas.codec.columnar`; this module is its oracle
in tests.  :mod:`schemas.codec.framing` knows which schema a value is in.
"""

from __future__ import annotations

import io
from dataclasses import asdict, fields
from typing import TYPE_CHECKING, Any, cast

import fastavro
from fastavro.read import SchemaResolutionError

from schemas import events
from schemas.codec import framing
from schemas.codec.body_check import MalformedError
from schemas.rules.modes import MODES

if TYPE_CHECKING:
    from schemas.codec.framing import Schema

_OF_JOBS = (events.JobAccepted, events.JobOpened, events.JobStatus)


class UndecodableError(ValueError):
    """A value cannot be decoded; ``code`` is the reason of its dead letter.

    Codes: ``NULL_VALUE``, ``NOT_FRAMED``, ``UNKNOWN_SCHEMA``,
    ``INCOMPATIBLE_SCHEMA``, ``UNKNOWN_SYMBOL``, ``MALFORMED``, ``TRAILING_BYTES``,
    ``UNEXPECTED_TYPE``.
    """

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(f"{code}: {detail}")
        self.code = code


def encode(event: events.Event) -> bytes:
    """Return the event as a framed value."""
    out = io.BytesIO()
    out.write(framing.frame_of(type(event)))
    parsed = framing.current_schema(type(event)).parsed
    fastavro.schemaless_writer(out, parsed, _record_of(event), strict=True)
    return out.getvalue()


def decode(value: bytes | None) -> events.Event:
    """Return the event of a framed value, all of whose bytes must be used.

    Raises:
        UndecodableError: with the code that a dead letter carries.
    """
    if value is None:
        raise UndecodableError("NULL_VALUE", "the record has no value")
    frame = framing.frame_in(value)
    schema = framing.schema_by(frame)
    if schema is None:
        raise _unknown(frame)
    _check_body(schema, value, len(frame))
    try:
        record = _record(schema, value, len(frame))
        return _event(schema.event_type, cast("dict[str, Any]", record))
    except (SchemaResolutionError, _UnknownVariantError) as error:
        # Every other failure of resolution was found when the schema was learned.
        raise UndecodableError("UNKNOWN_SYMBOL", str(error)) from error
    except Exception as error:  # texts that are not UTF-8, days beyond the calendar, ...
        raise UndecodableError("MALFORMED", f"{schema.event_type.__name__}: {error!r}") from error


def _check_body(schema: Schema, value: bytes, start: int) -> None:
    try:
        end = schema.measure(value, start)
    except MalformedError as error:
        raise UndecodableError("MALFORMED", f"{schema.event_type.__name__}: {error}") from error
    if end != len(value):
        raise UndecodableError("TRAILING_BYTES", f"{len(value) - end} bytes after the end")


def _record(schema: Schema, value: bytes, start: int) -> object:
    body = io.BytesIO(value)
    body.seek(start)
    if schema.is_current:  # nothing to resolve, which takes a fourth of the time
        return fastavro.schemaless_reader(body, schema.parsed, None)
    reader = framing.current_schema(schema.event_type).reader
    return fastavro.schemaless_reader(body, schema.parsed, reader)


def _unknown(frame: bytes) -> UndecodableError:
    """Return the error for a frame without a schema."""
    if frame[:1] == framing.CONFLUENT_MARKER and len(frame) == framing.CONFLUENT_FRAME_BYTES:
        unknown = ("UNKNOWN_SCHEMA", "no schema registry has told its schema")
        reason = framing.refusal_of(frame) or unknown
        return UndecodableError(reason[0], f"schema id {int.from_bytes(frame[1:])}: {reason[1]}")
    if frame[:2] == framing.MARKER and len(frame) == framing.FRAME_BYTES:
        return UndecodableError("UNKNOWN_SCHEMA", f"fingerprint {frame[2:].hex()}")
    return UndecodableError(
        "NOT_FRAMED",
        "the value is neither in Avro single-object encoding nor in the Confluent wire format",
    )


class _UnknownVariantError(ValueError):
    """A later version of Rollcall has a mode that this one doesn't know."""


def _record_of(event: events.Event) -> dict[str, Any]:
    """Return the event's fields; a mode that the enum can't name goes to ``variant``.

    The first versions of the enum have no default, so symbols can't be added to it.
    """
    record = asdict(event)
    if isinstance(event, _OF_JOBS):
        row_mode = MODES[event.mode].row_mode
        record |= {"mode": row_mode, "variant": None if row_mode == event.mode else event.mode}
    return record


def _take_variant(record: dict[str, Any]) -> None:
    variant = record.pop("variant")
    if variant is not None:
        if variant not in MODES:
            raise _UnknownVariantError(f"{variant!r} is no mode known here")
        record["mode"] = variant


def _event(event_type: type[events.Event], record: dict[str, Any]) -> events.Event:
    if issubclass(event_type, _OF_JOBS):
        _take_variant(record)
    if event_type is events.JobAccepted:
        record["chunks"] = events.ChunkRange(**record["chunks"])
        record["attributes"] = tuple(
            events.AttributeColumn(**column) for column in record["attributes"]
        )
        record["columns"] = tuple(events.ColumnMapping(**column) for column in record["columns"])
    return event_type(**{field.name: record[field.name] for field in fields(event_type)})
