"""Events to and from framed Avro bytes.

Framing is Avro single-object encoding: ``C3 01``, the CRC-64-AVRO fingerprint
of the writer's schema (little-endian), then the Avro body (Avro specification,
"Single object encoding").

Two codecs share the schemas.
pyruhvro turns whole Arrow batches into Avro and back; fastavro does single
events, and is the oracle that the batch path is tested against.
Neither may be imported anywhere else.
"""

from __future__ import annotations

import io
import json
from dataclasses import asdict, fields
from importlib import resources
from typing import TYPE_CHECKING, Any, cast

import fastavro
import fastavro.schema
import pyarrow as pa
import pyarrow.compute
import pyruhvro

from schemas import events

if TYPE_CHECKING:
    from collections.abc import Sequence

pc: Any = pyarrow.compute
MARKER = b"\xc3\x01"
FRAME_BYTES = 10
EVENT_TYPES: tuple[type[events.Event], ...] = (
    events.UserRow,
    events.RowRejected,
    events.RowErased,
    events.JobOpened,
    events.JobSealed,
    events.JobAccepted,
    events.JobVoided,
    events.JobReverted,
    events.JobRestored,
    events.JobStatus,
    events.AttributeDefined,
    events.LogConfigured,
    events.LogMove,
)


class UndecodableError(ValueError):
    """A value that is no event: ``code`` is the reason, for a dead letter.

    Codes: ``NULL_VALUE``, ``NOT_FRAMED``, ``UNKNOWN_SCHEMA``, ``MALFORMED``,
    ``TRAILING_BYTES``, ``UNEXPECTED_TYPE``.
    """

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(f"{code}: {detail}")
        self.code = code


class _Schema:
    """A writer's schema of an event type, and the frame of its values."""

    def __init__(self, event_type: type[events.Event], text: str) -> None:
        self.event_type = event_type
        self.definition = json.loads(text)
        self.parsed = fastavro.parse_schema(json.loads(text), named_schemas={})
        canonical = fastavro.schema.to_parsing_canonical_form(json.loads(text))
        fingerprint = fastavro.schema.fingerprint(canonical, "CRC-64-AVRO")
        self.frame = MARKER + bytes.fromhex(fingerprint)


class _CurrentSchema(_Schema):
    """The schema that values are written with, in the forms that both codecs want."""

    def __init__(self, event_type: type[events.Event], text: str) -> None:
        super().__init__(event_type, text)
        self.json = json.dumps(self.definition)
        self.arrow_frame = pa.scalar(self.frame, pa.binary())
        self.arrow: pa.Schema = pyruhvro.avro_to_arrow_schema(self.json)


def _current_schemas() -> dict[type[events.Event], _CurrentSchema]:
    folder = resources.files("schemas").joinpath("avro")
    return {
        event_type: _CurrentSchema(
            event_type, folder.joinpath(f"{event_type.__name__}.avsc").read_text()
        )
        for event_type in EVENT_TYPES
    }


def _earlier_schemas() -> list[_Schema]:
    """Those of ``avro/earlier``: what logs may still hold; a file is ``Type.version.avsc``."""
    types = {event_type.__name__: event_type for event_type in EVENT_TYPES}
    folder = resources.files("schemas").joinpath("avro", "earlier")
    return [
        _Schema(types[file.name.partition(".")[0]], file.read_text())
        for file in folder.iterdir()
        if file.name.endswith(".avsc")
    ]


_SCHEMAS = _current_schemas()
_BY_FRAME = {schema.frame: schema for schema in [*_earlier_schemas(), *_SCHEMAS.values()]}

ROW_SCHEMA: pa.Schema = _SCHEMAS[events.UserRow].arrow
REJECTION_SCHEMA: pa.Schema = _SCHEMAS[events.RowRejected].arrow


def frame_of(event_type: type[events.Event]) -> bytes:
    """The ten bytes that every value of this type begins with, when it is written now."""
    return _SCHEMAS[event_type].frame


def type_of_frame(frame: bytes) -> type[events.Event] | None:
    """The event type whose values begin with these ten bytes, earlier ones too; or None."""
    schema = _BY_FRAME.get(frame)
    return schema.event_type if schema else None


def definition_of(event_type: type[events.Event]) -> dict[str, Any]:
    """The Avro schema as it stands in its file."""
    return cast("dict[str, Any]", _SCHEMAS[event_type].definition)


def encode(event: events.Event) -> bytes:
    """One event as a framed value."""
    schema = _SCHEMAS[type(event)]
    out = io.BytesIO()
    out.write(schema.frame)
    fastavro.schemaless_writer(out, schema.parsed, asdict(event), strict=True)
    return out.getvalue()


def decode(value: bytes | None) -> events.Event:
    """One framed value as an event; all bytes are consumed.

    Raises:
        UndecodableError: with the code that a dead letter carries.
    """
    if value is None:
        raise UndecodableError("NULL_VALUE", "the record has no value")
    if value[:2] != MARKER or len(value) < FRAME_BYTES:
        raise UndecodableError("NOT_FRAMED", "the value is not in Avro single-object encoding")
    schema = _BY_FRAME.get(value[:FRAME_BYTES])
    if schema is None:
        raise UndecodableError("UNKNOWN_SCHEMA", f"fingerprint {value[2:FRAME_BYTES].hex()}")
    body = io.BytesIO(value)
    body.seek(FRAME_BYTES)
    try:
        reader = _SCHEMAS[schema.event_type].parsed
        record = fastavro.schemaless_reader(body, schema.parsed, reader)
        event = _event(schema.event_type, cast("dict[str, Any]", record))
    except Exception as error:  # hostile bytes raise anything: EOFError, IndexError, ...
        raise UndecodableError("MALFORMED", f"{schema.event_type.__name__}: {error!r}") from error
    if body.tell() != len(value):
        raise UndecodableError("TRAILING_BYTES", f"{len(value) - body.tell()} bytes after the end")
    return event


def _event(event_type: type[events.Event], record: dict[str, Any]) -> events.Event:
    if event_type is events.JobAccepted:
        record["chunks"] = events.ChunkRange(**record["chunks"])
        record["attributes"] = tuple(
            events.AttributeColumn(**column) for column in record["attributes"]
        )
    return event_type(**{field.name: record[field.name] for field in fields(event_type)})


def fingerprint_of(event_type: type[events.Event]) -> bytes:
    """CRC-64-AVRO of the current schema, as single-object encoding has it, little-endian."""
    return _SCHEMAS[event_type].frame[len(MARKER) :]


def encode_batch(event_type: type[events.Event], batch: pa.RecordBatch) -> pa.BinaryArray:
    """Each row of the batch as a framed value, in order.

    The batch has the columns of :data:`ROW_SCHEMA` or :data:`REJECTION_SCHEMA`,
    in that order and of those types.
    """
    schema = _SCHEMAS[event_type]
    bodies = pyruhvro.serialize_record_batch(batch, schema.json, 1)[0]
    return pc.binary_join_element_wise(schema.arrow_frame, bodies, b"")


def decode_batch(event_type: type[events.Event], values: Sequence[bytes]) -> pa.RecordBatch:
    """Values that were framed by :func:`frame_of` this type, as one Arrow batch.

    It does not notice bytes after the end of a body, as :func:`decode` does.

    Raises:
        ValueError: when any of the values is malformed; none is told apart.
    """
    bodies = [value[FRAME_BYTES:] for value in values]
    batch = pyruhvro.deserialize_array(bodies, _SCHEMAS[event_type].json)
    batch.validate(full=True)  # pyruhvro 0.4 takes texts that are not UTF-8
    return batch
