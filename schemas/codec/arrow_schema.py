"""The Arrow schemas of batches of events."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, cast

import pyarrow as pa

from schemas.codec import framing

if TYPE_CHECKING:
    from schemas.events import Event

_TYPES: Final = {
    "boolean": pa.bool_(),
    "date": pa.date32(),
    "enum": pa.string(),
    "int": pa.int32(),
    "long": pa.int64(),
    "string": pa.string(),
    "timestamp-micros": pa.timestamp("us"),
}


def arrow_schema(event_type: type[Event]) -> pa.Schema:
    """Return the Arrow schema of a batch of this type, in the order of the Avro fields."""
    return pa.schema(
        [
            pa.field(field["name"], _arrow_type(field["type"]), nullable=_is_union(field["type"]))
            for field in framing.definition_of(event_type)["fields"]
        ]
    )


def _is_union(avro_type: object) -> bool:
    return isinstance(avro_type, list)


def _arrow_type(avro_type: Any) -> pa.DataType:
    if _is_union(avro_type):
        return _arrow_type(next(each for each in avro_type if each != "null"))
    if isinstance(avro_type, str):
        return _TYPES[avro_type]
    node = cast("dict[str, Any]", avro_type)
    if node["type"] == "map":
        return pa.map_(pa.string(), _arrow_type(node["values"]))
    return _TYPES[node.get("logicalType", node["type"])]
