"""Events in Avro's JSON encoding (Avro specification, "JSON Encoding"), to be shown to people."""

from __future__ import annotations

from dataclasses import asdict
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, cast

from schemas.codec import codec

if TYPE_CHECKING:
    from schemas.events import Event

_EPOCH: Final = date(1970, 1, 1)
_MICROSECOND: Final = timedelta(microseconds=1)


def avro_json(event: Event) -> dict[str, Any]:
    """The event in Avro's JSON encoding: a value of a union with null is tagged by its type."""
    return _as_json(asdict(event), codec.definition_of(type(event)))


def _as_json(value: Any, schema: Any) -> Any:
    if isinstance(schema, list):
        return _of_union(value, cast("list[Any]", schema))
    kind = _kind(schema)
    if kind == "record":
        return {
            field["name"]: _as_json(value[field["name"]], field["type"])
            for field in schema["fields"]
        }
    if kind == "map":
        return {name: _as_json(one, schema["values"]) for name, one in value.items()}
    if kind == "array":
        return [_as_json(one, schema["items"]) for one in value]
    return _as_number(value)


def _of_union(value: Any, schemas: list[Any]) -> Any:
    """Every union here is of null and one other type."""
    if value is None:
        return None
    other = next(schema for schema in schemas if schema != "null")
    return {_kind(other): _as_json(value, other)}


def _kind(schema: Any) -> str:
    return schema if isinstance(schema, str) else schema["type"]


def _as_number(value: Any) -> Any:
    """What logical types are to Avro: microseconds and days since 1970."""
    if isinstance(value, datetime):
        return (value - datetime.fromtimestamp(0, value.tzinfo)) // _MICROSECOND
    return (value - _EPOCH).days if isinstance(value, date) else value
