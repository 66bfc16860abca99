"""Checks that bytes are exactly one Avro body of a schema, before anything decodes them.

fastavro 1.13 accepts an enum's index of -1 for the last symbol, numbers of eleven bytes, and
texts cut anywhere by a negative length; this check accepts what the Avro specification
("Binary Encoding") allows and nothing else.

:func:`measure` makes a function from a schema: it takes a body's offset and returns its end.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, Final, cast

Measure = Callable[[bytes, int], int]
"""Returns the end of the body that begins at an offset; raises :class:`MalformedError`."""

_LONGEST_NUMBER_BYTES: Final = 10
_LAST_BYTE_MOST: Final = 1
"""The most that the tenth byte of a number may hold: nine times seven bits leave one of 64."""
_MORE: Final = 0x80
_FLOAT_BYTES: Final = 4
_DOUBLE_BYTES: Final = 8


class MalformedError(ValueError):
    """The bytes are no body of the schema."""


def measure(schema: Any) -> Measure:
    """Return the function for a parsed, valid and not recursive schema."""
    return _measure(schema, {})


def _measure(schema: Any, named: dict[str, Measure]) -> Measure:
    if isinstance(schema, str):
        found = _PRIMITIVES.get(schema)
        return found or named[schema.rpartition(".")[2]]
    if isinstance(schema, list):
        branches = [_measure(each, named) for each in cast("list[Any]", schema)]
        return functools.partial(_union, branches)
    node = cast("dict[str, Any]", schema)
    kind = node["type"]
    if kind in ("array", "map"):
        item = _measure(node["items" if kind == "array" else "values"], named)
        return functools.partial(_blocks, item if kind == "array" else _entry(item))
    if kind not in ("record", "enum", "fixed"):
        return _measure(kind, named)
    made = _named(node, named)
    named[str(node["name"]).rpartition(".")[2]] = made
    return made


def _named(node: dict[str, Any], named: dict[str, Measure]) -> Measure:
    if node["type"] == "record":
        return functools.partial(_record, [_measure(f["type"], named) for f in node["fields"]])
    if node["type"] == "enum":
        return functools.partial(_enum, len(node["symbols"]))
    return functools.partial(_fixed, int(node["size"]))


def _number(data: bytes, at: int) -> tuple[int, int]:
    """Return a zigzag number and its end."""
    try:
        byte = data[at]
        if byte < _MORE:  # nearly all are this short
            return (byte >> 1) ^ -(byte & 1), at + 1
        value = shift = 0
        for end in range(at + 1, at + 1 + _LONGEST_NUMBER_BYTES):
            value |= (byte & ~_MORE) << shift
            if byte < _MORE:
                if end - at == _LONGEST_NUMBER_BYTES and byte > _LAST_BYTE_MOST:
                    break
                return (value >> 1) ^ -(value & 1), end
            byte = data[end]
            shift += 7
    except IndexError:
        raise MalformedError(f"a number at byte {at} is cut off") from None
    raise MalformedError(f"a number at byte {at} is longer than 64 bits")


def _long(data: bytes, at: int) -> int:
    return _number(data, at)[1]


def _int(data: bytes, at: int) -> int:
    value, end = _number(data, at)
    if not -(1 << 31) <= value < 1 << 31:
        raise MalformedError(f"an int at byte {at} is longer than 32 bits")
    return end


def _null(_data: bytes, at: int) -> int:
    return at


def _boolean(data: bytes, at: int) -> int:
    if data[at : at + 1] not in (b"\0", b"\1"):
        raise MalformedError(f"byte {at} is no boolean")
    return at + 1


def _bytes(data: bytes, at: int) -> int:
    size, start = _number(data, at)
    if not 0 <= size <= len(data) - start:
        raise MalformedError(f"a length at byte {at} is {size}, {len(data) - start} bytes are left")
    return start + size


def _fixed(size: int, data: bytes, at: int) -> int:
    if at + size > len(data):
        raise MalformedError(f"{size} bytes from byte {at} on are cut off")
    return at + size


def _enum(symbols: int, data: bytes, at: int) -> int:
    index, end = _number(data, at)
    if not 0 <= index < symbols:
        raise MalformedError(f"a symbol at byte {at} is {index} of {symbols}")
    return end


def _union(branches: list[Measure], data: bytes, at: int) -> int:
    index, end = _number(data, at)
    if not 0 <= index < len(branches):
        raise MalformedError(f"a branch at byte {at} is {index} of {len(branches)}")
    return branches[index](data, end)


def _record(fields: list[Measure], data: bytes, at: int) -> int:
    for field in fields:
        at = field(data, at)
    return at


def _entry(value: Measure) -> Measure:
    return functools.partial(_record, [_bytes, value])


def _blocks(item: Measure, data: bytes, at: int) -> int:
    """Return the end of an array or map; each item takes a byte at least, which bounds the loop."""
    while True:
        start = at
        count, at = _number(data, at)
        if not count:
            return at
        size = None
        if count < 0:
            size, at = _number(data, at)
        first = at
        if abs(count) > len(data) - at:
            raise MalformedError(f"a block at byte {start} has {count} items in too few bytes")
        for _ in range(abs(count)):
            at = item(data, at)
        if size is not None and size != at - first:
            raise MalformedError(f"a block at byte {start} says {size} bytes and has {at - first}")


_PRIMITIVES: Final[dict[str, Measure]] = {
    "null": _null,
    "boolean": _boolean,
    "int": _int,
    "long": _long,
    "float": functools.partial(_fixed, _FLOAT_BYTES),
    "double": functools.partial(_fixed, _DOUBLE_BYTES),
    "bytes": _bytes,
    "string": _bytes,
}
