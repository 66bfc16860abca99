"""Checks from a writer's schema alone whether its values can be read as one of our events.

:func:`unreadable` applies Avro's schema resolution (Avro 1.12 specification, "Schema Resolution")
to two schemas instead of one value: it holds for every value, or it says why not.
Tests apply it to each of our schemas in both directions; the codec applies it to schemas
fetched from a registry.

:func:`check_writer` also refuses schemas that would harm a reader: another party may have
written them, and a reader follows them for each value.
A recursive one crashes fastavro 1.13, and an array whose items take no bytes makes a loop of
2⁶³ turns out of nine bytes; nested records without bytes do the same.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final, cast

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

Schema = Any
"""A schema as parsed JSON: a name, a list (a union) or an object."""

MAX_SCHEMA_BYTES: Final = 256 << 10
_MOST_NODES: Final = 10_000
"""The most nodes of a schema with names replaced by their types: a reader's steps for a value."""
_DEEPEST: Final = 32
_PRIMITIVES: Final = {
    "null": 0,
    "boolean": 1,
    "int": 1,
    "long": 1,
    "float": 4,
    "double": 8,
    "bytes": 1,
    "string": 1,
}
"""The least bytes that a value of each type takes."""
_PROMOTIONS: Final = {
    "int": {"long", "float", "double"},
    "long": {"float", "double"},
    "float": {"double"},
    "string": {"bytes"},
    "bytes": {"string"},
}
_NAMED: Final = ("record", "enum", "fixed")


class UnusableSchemaError(ValueError):
    """A writer's schema is refused; the message says why."""


def check_writer(text: str, readers: Mapping[str, Schema]) -> str:
    """Return the full name of the event type whose values this schema writes.

    ``readers`` are our own schemas by full name.

    Raises:
        UnusableSchemaError: it is none of our events, or must not or cannot be read.
    """
    writer = _parsed(text)
    name = _full_name(cast("dict[str, Any]", writer), "") if isinstance(writer, dict) else ""
    if name not in readers:
        raise UnusableSchemaError(f"it is no record of ours: {name or 'no name'!r}")
    _Measure().check(writer)
    if reason := unreadable(readers[name], writer):
        raise UnusableSchemaError(reason)
    return name


def _parsed(text: str) -> Schema:
    if len(text.encode(errors="surrogatepass")) > MAX_SCHEMA_BYTES:
        raise UnusableSchemaError(f"it is larger than {MAX_SCHEMA_BYTES} bytes")
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UnusableSchemaError(f"it is no JSON: {error}") from error


def _full_name(schema: dict[str, Any], namespace: str) -> str:
    name, own = str(schema.get("name", "")), schema.get("namespace", namespace)
    return name if "." in name or not own else f"{own}.{name}"


def _unqualified(schema: dict[str, Any]) -> str:
    return str(schema.get("name", "")).rpartition(".")[2]


class _Measure:
    """Walks a schema once, and remembers the measures of each name."""

    def __init__(self) -> None:
        self._named: dict[str, tuple[int, int]] = {}
        self._open: set[str] = set()

    def check(self, schema: Schema) -> None:
        self._of(schema, "", 0)

    def _of(self, schema: Schema, namespace: str, depth: int) -> tuple[int, int]:
        """Return the number of nodes, names replaced, and the least bytes of a value."""
        if depth > _DEEPEST:
            raise UnusableSchemaError(f"it is nested more than {_DEEPEST} deep")
        if isinstance(schema, str):
            found = self._of_name(schema, namespace)
        elif isinstance(schema, list):
            branches = [self._of(each, namespace, depth + 1) for each in cast("list[Any]", schema)]
            found = 1 + sum(nodes for nodes, _ in branches), 1
        elif isinstance(schema, dict):
            found = self._of_object(cast("dict[str, Any]", schema), namespace, depth)
        else:
            raise UnusableSchemaError(f"{schema!r} is no schema")
        if found[0] > _MOST_NODES:
            raise UnusableSchemaError(f"a value takes more than {_MOST_NODES} steps to read")
        return found

    def _of_name(self, name: str, namespace: str) -> tuple[int, int]:
        if name in _PRIMITIVES:
            return 1, _PRIMITIVES[name]
        full = name if "." in name or not namespace else f"{namespace}.{name}"
        if full in self._open:
            raise UnusableSchemaError(f"it is recursive in {full}")
        if full not in self._named:
            raise UnusableSchemaError(f"{full} is not defined")
        return self._named[full]

    def _of_object(self, schema: dict[str, Any], namespace: str, depth: int) -> tuple[int, int]:
        kind = schema.get("type")
        if kind in _NAMED:
            return self._of_named(schema, namespace, depth)
        if kind == "array":
            nodes, least_bytes = self._of(schema.get("items"), namespace, depth + 1)
            if not least_bytes:
                raise UnusableSchemaError("it has an array of items that take no bytes")
            return nodes + 1, 1
        if kind == "map":
            return self._of(schema.get("values"), namespace, depth + 1)[0] + 1, 1
        return self._of(kind, namespace, depth + 1)

    def _of_named(self, schema: dict[str, Any], namespace: str, depth: int) -> tuple[int, int]:
        full = _full_name(schema, namespace)
        if full in self._open or full in self._named:
            raise UnusableSchemaError(f"{full} is defined twice")
        if schema["type"] == "record":
            self._open.add(full)
            inner = full.rpartition(".")[0]
            fields = [self._of(field.get("type"), inner, depth + 1) for field in _fields(schema)]
            self._open.discard(full)
            found = 1 + sum(nodes for nodes, _ in fields), sum(least for _, least in fields)
        else:
            found = 1, 1 if schema["type"] == "enum" else int(schema.get("size", 0))
        self._named[full] = found
        return found


def _fields(schema: dict[str, Any]) -> list[dict[str, Any]]:
    fields = schema.get("fields")
    if not isinstance(fields, list):
        raise UnusableSchemaError("a record has no fields")
    found = cast("list[Any]", fields)
    if not all(isinstance(field, dict) for field in found):
        raise UnusableSchemaError("a record has a field that is none")
    return cast("list[dict[str, Any]]", found)


def unreadable(reader: Schema, writer: Schema) -> str | None:
    """Return why some value of the writer's schema cannot be read by the reader's, or None.

    Both schemas are valid and not recursive.
    """
    return _Resolution(_names_in(reader), _names_in(writer)).unreadable(reader, writer, "")


def _names_in(schema: Schema) -> dict[str, dict[str, Any]]:
    """Return every named type by its unqualified name, by which Avro matches."""
    found: dict[str, dict[str, Any]] = {}
    waiting: list[Any] = [schema]
    while waiting:
        each = waiting.pop()
        if isinstance(each, list):
            waiting += each
        elif isinstance(each, dict):
            node = cast("dict[str, Any]", each)
            if node.get("type") in _NAMED:
                found[_unqualified(node)] = node
            waiting += [node.get("type"), node.get("items"), node.get("values")]
            waiting += [field.get("type") for field in node.get("fields", [])]
    return found


class _Resolution:
    def __init__(
        self, of_reader: dict[str, dict[str, Any]], of_writer: dict[str, dict[str, Any]]
    ) -> None:
        self._of_reader = of_reader
        self._of_writer = of_writer

    def unreadable(self, reader: Schema, writer: Schema, at: str) -> str | None:
        reader = _resolved(reader, self._of_reader)
        writer = _resolved(writer, self._of_writer)
        if isinstance(writer, list):
            branches = cast("list[Any]", writer)
            return _first(self.unreadable(reader, branch, at) for branch in branches)
        if isinstance(reader, list):
            branches = cast("list[Any]", reader)
            reasons = [self.unreadable(branch, writer, at) for branch in branches]
            return None if None in reasons else _differ(reader, writer, at)
        return self._of_one(reader, writer, at)

    def _of_one(self, reader: Schema, writer: Schema, at: str) -> str | None:
        wanted, written = _kind(reader), _kind(writer)
        if wanted != written:
            is_promoted = wanted in _PROMOTIONS.get(written, ())
            return None if is_promoted else _differ(reader, writer, at)
        deeper = {
            "record": self._of_records,
            "enum": self._of_enums,
            "fixed": self._of_fixed,
            "array": self._of_arrays,
            "map": self._of_maps,
        }.get(wanted)
        return deeper(reader, writer, at) if deeper else None

    def _of_records(self, reader: dict[str, Any], writer: dict[str, Any], at: str) -> str | None:
        if _unqualified(reader) != _unqualified(writer):
            return _differ(reader, writer, at)
        written = {field.get("name"): field for field in _fields(writer)}
        for field in _fields(reader):
            place = f"{at}/{field['name']}"
            other = written.get(field["name"])
            if other is None:
                if "default" not in field:
                    return f"{place} is missing and has no default"
            elif reason := self.unreadable(field["type"], other.get("type"), place):
                return reason
        return None

    def _of_enums(self, reader: dict[str, Any], writer: dict[str, Any], at: str) -> str | None:
        if _unqualified(reader) != _unqualified(writer):
            return _differ(reader, writer, at)
        unknown = set(writer.get("symbols", [])) - set(reader["symbols"])
        if unknown and "default" not in reader:
            return f"{at or '/'} has symbols that are not known: {', '.join(sorted(unknown))}"
        return None

    def _of_fixed(self, reader: dict[str, Any], writer: dict[str, Any], at: str) -> str | None:
        is_same = _unqualified(reader) == _unqualified(writer)
        is_as_long = reader.get("size") == writer.get("size")
        return None if is_same and is_as_long else _differ(reader, writer, at)

    def _of_arrays(self, reader: dict[str, Any], writer: dict[str, Any], at: str) -> str | None:
        return self.unreadable(reader["items"], writer["items"], f"{at}/items")

    def _of_maps(self, reader: dict[str, Any], writer: dict[str, Any], at: str) -> str | None:
        return self.unreadable(reader["values"], writer["values"], f"{at}/values")


def _resolved(schema: Schema, names: dict[str, dict[str, Any]]) -> Schema:
    """Return the type that a name stands for, or that an object only wraps."""
    while isinstance(schema, dict):
        inner: Any = cast("dict[str, Any]", schema).get("type")
        if isinstance(inner, str) and (inner in _NAMED or inner in ("array", "map")):
            return cast("Any", schema)
        schema = inner
    if isinstance(schema, str) and schema not in _PRIMITIVES:
        return names[schema.rpartition(".")[2]]
    return schema


def _kind(schema: Schema) -> str:
    return schema if isinstance(schema, str) else str(schema["type"])


def _first(reasons: Iterable[str | None]) -> str | None:
    return next((reason for reason in reasons if reason), None)


def _differ(reader: Schema, writer: Schema, at: str) -> str:
    return f"{at or '/'} is {_name_of(writer)}, which cannot be read as {_name_of(reader)}"


def _name_of(schema: Schema) -> str:
    if isinstance(schema, list):
        return " or ".join(_name_of(each) for each in cast("list[Any]", schema))
    kind = _kind(schema)
    return f"{kind} {_unqualified(schema)}" if kind in _NAMED else kind
