"""Events to and from framed Avro bytes.

A value says which schema wrote it, in one of two framings that are always read.
Avro single-object encoding: ``C3 01``, the CRC-64-AVRO fingerprint of the
writer's schema (little-endian), then the Avro body (Avro specification,
"Single object encoding").
The Confluent wire format: ``00``, a schema registry's id of the writer's schema
(four bytes, big-endian), then the Avro body.
Values are written in the first, until :func:`write_by_ids` says otherwise.

Fingerprints that are read are those of our own schemas, ``avro/earlier``
included.
Ids mean what :func:`learn` was told; nothing here asks a registry.
What a process knows of ids is kept for as long as it runs and for all of it,
because an id never changes its meaning.

A writer's schema that isn't ours to the byte is resolved to ours, as Avro has it,
but for one thing: where a value has a symbol of an enum that we don't know, the
enum's default is not taken for it.
The default lets readers elsewhere go on; we would apply what nobody has said.

Single events are the subject here, by fastavro; whole batches are that of
:mod:`schemas.codec.columnar`, which this is the oracle of.
"""

from __future__ import annotations

import contextlib
import io
import json
from dataclasses import asdict, fields
from importlib import resources
from typing import TYPE_CHECKING, Any, cast

import fastavro
import fastavro.schema
from fastavro.read import SchemaResolutionError

from schemas import events
from schemas.codec.body_check import MalformedError, measure
from schemas.codec.schema_resolution import UnusableSchemaError, check_writer

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Mapping

MARKER = b"\xc3\x01"
FRAME_BYTES = 10
CONFLUENT_MARKER = b"\x00"
CONFLUENT_FRAME_BYTES = 5
LARGEST_ID = 2**31 - 1
_MOST_REFUSED_IDS = 10_000
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

    Codes: ``NULL_VALUE``, ``NOT_FRAMED``, ``UNKNOWN_SCHEMA``,
    ``INCOMPATIBLE_SCHEMA``, ``UNKNOWN_SYMBOL``, ``MALFORMED``, ``TRAILING_BYTES``,
    ``UNEXPECTED_TYPE``.
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
        self.canonical = fastavro.schema.to_parsing_canonical_form(json.loads(text))
        fingerprint = fastavro.schema.fingerprint(self.canonical, "CRC-64-AVRO")
        self.frame = MARKER + bytes.fromhex(fingerprint)
        self.measure = measure(self.definition)

    @property
    def is_current(self) -> bool:
        """Whether its values have the bytes that ours have, but for the frame."""
        return self.canonical == _SCHEMAS[self.event_type].canonical


class _CurrentSchema(_Schema):
    """The schema that values are written with, in the forms that both codecs want."""

    def __init__(self, event_type: type[events.Event], text: str) -> None:
        super().__init__(event_type, text)
        self.json = json.dumps(self.definition)
        # With no default of an enum, so that no unknown symbol is taken for another.
        reader = without(self.definition, "default", of="enum")
        self.reader = fastavro.parse_schema(reader, named_schemas={})


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


def without(schema: Any, name: str, *, of: str = "") -> Any:
    """The schema with that attribute taken out of it, or out of its types of the kind ``of``."""
    if isinstance(schema, list):
        return [without(each, name, of=of) for each in cast("list[Any]", schema)]
    if not isinstance(schema, dict):
        return schema
    node = cast("dict[str, Any]", schema)
    is_meant = node.get("type") == of if of else True
    return {
        key: part if key == "default" else without(part, name, of=of)
        for key, part in node.items()
        if not (is_meant and key == name)
    }


_SCHEMAS = _current_schemas()
_BY_FRAME = {schema.frame: schema for schema in [*_earlier_schemas(), *_SCHEMAS.values()]}
_NAMES = {f"rollcall.{event_type.__name__}": event_type for event_type in EVENT_TYPES}
_DEFINITIONS = {name: _SCHEMAS[event_type].definition for name, event_type in _NAMES.items()}
_refused: dict[bytes, tuple[str, str]] = {}
"""Frames of ids that no value is read with: code and detail."""
_written: dict[type[events.Event], bytes] = {}
"""The frames of types that are written by id."""


def learn(schema_id: int, text: str) -> None:
    """From now on, values framed with this id are read as written in this schema.

    A schema that is none of ours, or cannot be resolved to ours, is remembered as
    such: its values are ``INCOMPATIBLE_SCHEMA``.
    """
    frame = confluent_frame(schema_id)
    try:
        name = check_writer(text, _DEFINITIONS)
        _BY_FRAME[frame] = _Schema(_NAMES[name], text)
    except UnusableSchemaError as error:
        refuse(schema_id, "INCOMPATIBLE_SCHEMA", str(error))
    except Exception as error:  # noqa: BLE001 - hostile schemas raise anything in fastavro
        refuse(schema_id, "INCOMPATIBLE_SCHEMA", f"it cannot be used: {error!r}")


def refuse(schema_id: int, code: str, detail: str) -> None:
    """From now on, values framed with this id are refused for this reason.

    Of very many such ids the first are forgotten, and unknown again.
    """
    if len(_refused) >= _MOST_REFUSED_IDS:
        del _refused[next(iter(_refused))]
    _refused[confluent_frame(schema_id)] = (code, detail)


def forget_unregistered() -> None:
    """Ids that the registry did not have are unknown again; it may have been given them since."""
    for frame in [frame for frame, (code, _) in _refused.items() if code == "UNKNOWN_SCHEMA"]:
        _refused.pop(frame, None)


def unknown_id(value: bytes | None) -> int | None:
    """The id that must be learned or refused before this value is decoded; mostly None."""
    if not value or value[0] or len(value) < CONFLUENT_FRAME_BYTES:
        return None
    frame = value[:CONFLUENT_FRAME_BYTES]
    if frame in _BY_FRAME or frame in _refused:
        return None
    schema_id = int.from_bytes(frame[1:])
    return schema_id if schema_id <= LARGEST_ID else None


def is_known(schema_id: int) -> bool:
    """Whether the id was learned, or refused."""
    frame = confluent_frame(schema_id)
    return frame in _BY_FRAME or frame in _refused


def unknown_ids(values: Iterable[bytes | None]) -> dict[int, int]:
    """The ids of :func:`unknown_id` in these values, each with the index of its first value."""
    found: dict[int, int] = {}
    for index, value in enumerate(values):
        # Nearly all values are told by their first byte, so that byte is looked at here.
        if value and not value[0] and (schema_id := unknown_id(value)) is not None:
            found.setdefault(schema_id, index)
    return found


def confluent_frame(schema_id: int) -> bytes:
    """The five bytes that values written by this id begin with."""
    return CONFLUENT_MARKER + schema_id.to_bytes(4)


def write_by_ids(ids: Mapping[type[events.Event], int]) -> None:
    """From now on this process writes these types in the Confluent wire format, and reads it.

    The ids are those that a registry has given to the schemas as they stand here.
    """
    for event_type, schema_id in ids.items():
        frame = confluent_frame(schema_id)
        _BY_FRAME[frame] = _SCHEMAS[event_type]
        _written[event_type] = frame


@contextlib.contextmanager
def forgetting_ids() -> Generator[None]:
    """Within it no id is known and none is written; what is learned there is forgotten after it.

    For a process that looks at the logs of several registries, one after another.
    """
    frames, refused, written = dict(_BY_FRAME), dict(_refused), dict(_written)
    described = {frame: each for frame, each in frames.items() if frame[:2] == MARKER}
    _replace(described, {}, {})
    try:
        yield
    finally:
        _replace(frames, refused, written)


def _replace(
    frames: Mapping[bytes, _Schema],
    refused: Mapping[bytes, tuple[str, str]],
    written: Mapping[type[events.Event], bytes],
) -> None:
    _BY_FRAME.clear()
    _BY_FRAME.update(frames)
    _refused.clear()
    _refused.update(refused)
    _written.clear()
    _written.update(written)


def frame_of(event_type: type[events.Event]) -> bytes:
    """The bytes that every value of this type begins with, when it is written now."""
    return _written.get(event_type) or _SCHEMAS[event_type].frame


def type_of(value: bytes) -> tuple[type[events.Event], bool] | None:
    """What event a value is by its frame, and whether it is in our current schema.

    The rest of the value may still be anything; None where the frame says nothing.
    """
    schema = _BY_FRAME.get(_frame_in(value))
    return (schema.event_type, schema.is_current) if schema else None


def _frame_in(value: bytes) -> bytes:
    return value[: FRAME_BYTES if value[:1] != CONFLUENT_MARKER else CONFLUENT_FRAME_BYTES]


def definition_of(event_type: type[events.Event]) -> dict[str, Any]:
    """The Avro schema as it stands in its file."""
    return cast("dict[str, Any]", _SCHEMAS[event_type].definition)


def text_of(event_type: type[events.Event]) -> str:
    """The Avro schema as JSON, as a registry is given it."""
    return _SCHEMAS[event_type].json


def encode(event: events.Event) -> bytes:
    """One event as a framed value."""
    out = io.BytesIO()
    out.write(frame_of(type(event)))
    parsed = _SCHEMAS[type(event)].parsed
    fastavro.schemaless_writer(out, parsed, asdict(event), strict=True)
    return out.getvalue()


def decode(value: bytes | None) -> events.Event:
    """One framed value as an event; all bytes are consumed.

    Raises:
        UndecodableError: with the code that a dead letter carries.
    """
    if value is None:
        raise UndecodableError("NULL_VALUE", "the record has no value")
    frame = _frame_in(value)
    schema = _BY_FRAME.get(frame)
    if schema is None:
        raise _unknown(frame)
    _check_body(schema, value, len(frame))
    try:
        record = _record(schema, value, len(frame))
        return _event(schema.event_type, cast("dict[str, Any]", record))
    except SchemaResolutionError as error:
        # All else that resolution may fail of was found when the schema was learned.
        raise UndecodableError("UNKNOWN_SYMBOL", str(error)) from error
    except Exception as error:  # texts that are not UTF-8, days beyond the calendar, ...
        raise UndecodableError("MALFORMED", f"{schema.event_type.__name__}: {error!r}") from error


def _check_body(schema: _Schema, value: bytes, start: int) -> None:
    try:
        end = schema.measure(value, start)
    except MalformedError as error:
        raise UndecodableError("MALFORMED", f"{schema.event_type.__name__}: {error}") from error
    if end != len(value):
        raise UndecodableError("TRAILING_BYTES", f"{len(value) - end} bytes after the end")


def _record(schema: _Schema, value: bytes, start: int) -> object:
    body = io.BytesIO(value)
    body.seek(start)
    if schema.is_current:  # nothing to resolve, which takes a fourth of the time
        return fastavro.schemaless_reader(body, schema.parsed, None)
    return fastavro.schemaless_reader(body, schema.parsed, _SCHEMAS[schema.event_type].reader)


def _unknown(frame: bytes) -> UndecodableError:
    """Why there is no schema for a frame."""
    if frame[:1] == CONFLUENT_MARKER and len(frame) == CONFLUENT_FRAME_BYTES:
        reason = _refused.get(frame, ("UNKNOWN_SCHEMA", "no schema registry has told its schema"))
        return UndecodableError(reason[0], f"schema id {int.from_bytes(frame[1:])}: {reason[1]}")
    if frame[:2] == MARKER and len(frame) == FRAME_BYTES:
        return UndecodableError("UNKNOWN_SCHEMA", f"fingerprint {frame[2:].hex()}")
    return UndecodableError(
        "NOT_FRAMED",
        "the value is neither in Avro single-object encoding nor in the Confluent wire format",
    )


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
