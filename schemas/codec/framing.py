"""The frames of values: which schema wrote a value, by fingerprint or by a registry's id.

A value begins with one of two frames; both can always be read.
Avro single-object encoding: ``C3 01``, the CRC-64-AVRO fingerprint of the writer's schema
(little-endian), then the Avro body (Avro specification, "Single object encoding").
The Confluent wire format: ``00``, a schema registry's id of the writer's schema (four bytes,
big-endian), then the Avro body.
Values are written with the first, until :func:`write_by_ids` sets ids.

The known fingerprints are those of our own schemas, ``avro/earlier`` included.
Ids have the schemas that :func:`learn` was given; nothing here asks a registry.
What is known of ids belongs to the whole process and is kept while it runs, because an id
never changes its meaning.
"""

from __future__ import annotations

import contextlib
import json
from functools import cached_property
from importlib import resources
from typing import TYPE_CHECKING, Any, cast

import fastavro
import fastavro.schema

from schemas import events
from schemas.codec.body_check import measure
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
    events.JobCancelled,
    events.JobFailed,
    events.UndoQueued,
    events.JobStatus,
    events.AttributeDefined,
    events.AttributeChanged,
    events.PresetDefined,
    events.LogConfigured,
    events.LogMove,
)


class Schema:
    """A writer's schema of an event type, and the frame of its values."""

    def __init__(self, event_type: type[events.Event], text: str) -> None:
        self.event_type = event_type
        self.definition = json.loads(text)
        self.json = json.dumps(self.definition)
        self.parsed = fastavro.parse_schema(json.loads(text), named_schemas={})
        self.canonical = fastavro.schema.to_parsing_canonical_form(json.loads(text))
        fingerprint = fastavro.schema.fingerprint(self.canonical, "CRC-64-AVRO")
        self.frame = MARKER + bytes.fromhex(fingerprint)
        self.measure = measure(self.definition)

    @cached_property
    def names(self) -> list[str]:
        """The names of its fields, in order."""
        return [field["name"] for field in self.definition["fields"]]

    @cached_property
    def logical_types(self) -> list[list[str]]:
        """What its fields' values mean where their types don't say it: dates and times."""
        return [_logical_types_in(field["type"]) for field in self.definition["fields"]]

    @property
    def is_current(self) -> bool:
        """True where its values have the same bytes as those of our schema, but for the frame."""
        return self.padding == b""

    @cached_property
    def padding(self) -> bytes | None:
        """What makes a body of ours of each of its bodies: nulls for the fields that it lacks.

        None where that takes more, because fields differ or stand in another order.
        """
        current = _SCHEMAS[self.event_type]
        own, ours = (json.loads(each.canonical) for each in (self, current))
        fields, rest = own.pop("fields"), ours.pop("fields")
        known, added = rest[: len(fields)], rest[len(fields) :]
        # The canonical form has no logical types: seconds may stand where we have microseconds.
        means_the_same = self.logical_types == current.logical_types[: len(fields)]
        is_prefix = own == ours and fields == known and means_the_same
        is_padded = is_prefix and all(field["type"][0] == "null" for field in added)
        return b"\0" * len(added) if is_padded else None


class CurrentSchema(Schema):
    """The schema that values are written with."""

    def __init__(self, event_type: type[events.Event], text: str) -> None:
        super().__init__(event_type, text)
        # Without the defaults of enums, so that an unknown symbol is not read as the default: that
        # lets readers elsewhere go on, but we would apply what no producer has said.
        reader = without(self.definition, "default", of="enum")
        self.reader = fastavro.parse_schema(reader, named_schemas={})


def _current_schemas() -> dict[type[events.Event], CurrentSchema]:
    folder = resources.files("schemas").joinpath("avro")
    return {
        event_type: CurrentSchema(
            event_type, folder.joinpath(f"{event_type.__name__}.avsc").read_text()
        )
        for event_type in EVENT_TYPES
    }


def _earlier_schemas() -> list[Schema]:
    """Return the schemas of ``avro/earlier``, from files named ``Type.version.avsc``."""
    types = {event_type.__name__: event_type for event_type in EVENT_TYPES}
    folder = resources.files("schemas").joinpath("avro", "earlier")
    return [
        Schema(types[file.name.partition(".")[0]], file.read_text())
        for file in folder.iterdir()
        if file.name.endswith(".avsc")
    ]


def _logical_types_in(schema: Any) -> list[str]:
    if isinstance(schema, list):
        parts = cast("list[Any]", schema)
    elif isinstance(schema, dict):
        node = cast("dict[str, Any]", schema)
        fields: list[dict[str, Any]] = node.get("fields", [])
        parts = [node.get("type"), node.get("items"), node.get("values")]
        parts += [field.get("type") for field in fields]
        if "logicalType" in node:
            return [str(node["logicalType"])]
    else:
        return []
    return [each for part in parts for each in _logical_types_in(part)]


def without(schema: Any, name: str, *, of: str = "") -> Any:
    """Return the schema without that attribute, or without it in its types of the kind ``of``."""
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
"""Frames of ids whose values are refused: code and detail."""
_written: dict[type[events.Event], bytes] = {}
"""The frames of types that are written with an id."""


def learn(schema_id: int, text: str) -> None:
    """Read values framed with this id as written in this schema from now on.

    Values of a schema that is none of ours, or cannot be resolved to ours, are
    ``INCOMPATIBLE_SCHEMA``.
    """
    frame = confluent_frame(schema_id)
    try:
        name = check_writer(text, _DEFINITIONS)
        _BY_FRAME[frame] = Schema(_NAMES[name], text)
    except UnusableSchemaError as error:
        refuse(schema_id, "INCOMPATIBLE_SCHEMA", str(error))
    except Exception as error:  # noqa: BLE001 - hostile schemas raise anything in fastavro
        refuse(schema_id, "INCOMPATIBLE_SCHEMA", f"it cannot be used: {error!r}")


def refuse(schema_id: int, code: str, detail: str) -> None:
    """Refuse values framed with this id for this reason from now on.

    Of more than 10,000 such ids the oldest are forgotten, and unknown again.
    """
    if len(_refused) >= _MOST_REFUSED_IDS:
        del _refused[next(iter(_refused))]
    _refused[confluent_frame(schema_id)] = (code, detail)


def forget_unregistered() -> None:
    """Forget the ids that the registry did not have: it may have been given them since."""
    for frame in [frame for frame, (code, _) in _refused.items() if code == "UNKNOWN_SCHEMA"]:
        _refused.pop(frame, None)


def unknown_id(value: bytes | None) -> int | None:
    """Return the id that must be learned or refused before this value is decoded, or None."""
    if not value or value[0] or len(value) < CONFLUENT_FRAME_BYTES:
        return None
    frame = value[:CONFLUENT_FRAME_BYTES]
    if frame in _BY_FRAME or frame in _refused:
        return None
    schema_id = int.from_bytes(frame[1:])
    return schema_id if schema_id <= LARGEST_ID else None


def is_known(schema_id: int) -> bool:
    """Return whether the id was learned or refused."""
    frame = confluent_frame(schema_id)
    return frame in _BY_FRAME or frame in _refused


def unknown_ids(values: Iterable[bytes | None]) -> dict[int, int]:
    """Return the unknown ids in these values, each with the index of its first value."""
    first: dict[int, int] = {}
    for index, value in enumerate(values):
        # The first byte decides for nearly all values, so it is tested before the call.
        if value and not value[0] and (schema_id := unknown_id(value)) is not None:
            first.setdefault(schema_id, index)
    return first


def confluent_frame(schema_id: int) -> bytes:
    """Return the five bytes with which values of this id begin."""
    return CONFLUENT_MARKER + schema_id.to_bytes(4)


def write_by_ids(ids: Mapping[type[events.Event], int]) -> None:
    """Write these types in the Confluent wire format from now on, and read it.

    The ids are those that a registry gave to the current schemas.
    """
    for event_type, schema_id in ids.items():
        frame = confluent_frame(schema_id)
        _BY_FRAME[frame] = _SCHEMAS[event_type]
        _written[event_type] = frame


@contextlib.contextmanager
def forgetting_ids() -> Generator[None]:
    """Know and write no ids within the context, and forget afterwards what was learned there.

    For a process that reads the logs of several registries, one after another.
    """
    frames, refused, written = dict(_BY_FRAME), dict(_refused), dict(_written)
    described = {frame: each for frame, each in frames.items() if frame[:2] == MARKER}
    _replace(described, {}, {})
    try:
        yield
    finally:
        _replace(frames, refused, written)


def _replace(
    frames: Mapping[bytes, Schema],
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
    """Return the bytes with which a value of this type begins when it is written now."""
    return _written.get(event_type) or _SCHEMAS[event_type].frame


def is_writable(event_type: type[events.Event], frame: bytes) -> bool:
    """Return whether the frame is that of a version of this type that is ours."""
    schema = _BY_FRAME.get(frame)
    ours = None if schema is None else _BY_FRAME.get(schema.frame)
    if schema is None or ours is None or ours.event_type is not event_type:
        return False
    has_fields = set(ours.names) <= set(_SCHEMAS[event_type].names)
    return has_fields and schema.logical_types == ours.logical_types


def schema_by(frame: bytes) -> Schema | None:
    """Return the writer's schema of values with this frame; None where it is unknown or refused."""
    return _BY_FRAME.get(frame)


def refusal_of(frame: bytes) -> tuple[str, str] | None:
    """Return code and detail of the refusal of this frame's id; None where it was not refused."""
    return _refused.get(frame)


def current_schema(event_type: type[events.Event]) -> CurrentSchema:
    """Return the schema that values of this type are written with."""
    return _SCHEMAS[event_type]


def type_of(value: bytes) -> tuple[type[events.Event], bool] | None:
    """Return the event type by the value's frame, and whether :func:`body_of` can tell its body.

    None where the frame is unknown; the rest of the value is not examined.
    """
    schema = _BY_FRAME.get(frame_in(value))
    return (schema.event_type, schema.padding is not None) if schema else None


def body_of(value: bytes) -> bytes:
    """Return the body as our schema has it, of a value in a schema that ours only adds nulls to."""
    frame = frame_in(value)
    return value[len(frame) :] + (_BY_FRAME[frame].padding or b"")


def frame_in(value: bytes) -> bytes:
    """Return the bytes at the value's start that should be its frame."""
    return value[: FRAME_BYTES if value[:1] != CONFLUENT_MARKER else CONFLUENT_FRAME_BYTES]


def definition_of(event_type: type[events.Event]) -> dict[str, Any]:
    """Return the type's Avro schema as it stands in its file."""
    return cast("dict[str, Any]", _SCHEMAS[event_type].definition)


def text_of(event_type: type[events.Event]) -> str:
    """Return the type's Avro schema as JSON, as a registry gets it."""
    return _SCHEMAS[event_type].json


def fingerprint_of(event_type: type[events.Event]) -> bytes:
    """Return the CRC-64-AVRO fingerprint of the current schema, little-endian."""
    return _SCHEMAS[event_type].frame[len(MARKER) :]
