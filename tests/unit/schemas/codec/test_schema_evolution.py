"""The gate of schema changes: every version of a type and each other read each other's values."""

from __future__ import annotations

import copy
import io
import itertools
import json
from typing import TYPE_CHECKING, Any, cast

import fastavro
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.codec import codec, framing
from schemas.codec.schema_resolution import UnusableSchemaError, check_writer, unreadable
from tests.support.data.schema_versions import VERSIONS

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.data.schema_versions import Schema

PAIRS = [
    pytest.param(writer, reader, id=f"{name}-{w}-{r}")
    for name, versions in sorted(VERSIONS.items())
    for (w, writer), (r, reader) in itertools.permutations(enumerate(versions, 1), 2)
]
INT64 = st.integers(-(2**63), 2**63 - 1)
PRIMITIVES: dict[str, st.SearchStrategy[Any]] = {
    "null": st.none(),
    "boolean": st.booleans(),
    "bytes": st.binary(max_size=8),
    "int": st.integers(-(2**31), 2**31 - 1),
    "long": INT64,
    "string": st.text(st.characters(exclude_categories=("Cs",)), max_size=8),
}


def _values(schema: Any, named: dict[str, st.SearchStrategy[Any]]) -> st.SearchStrategy[Any]:
    """Values of a schema, as fastavro takes them."""
    if isinstance(schema, str):
        return {**PRIMITIVES, **named}[schema]
    if isinstance(schema, list):
        return st.one_of([_values(each, named) for each in cast("list[Any]", schema)])
    if schema["type"] == "record":
        fields = {each["name"]: _values(each["type"], named) for each in schema["fields"]}
        return st.fixed_dictionaries(fields)
    if schema["type"] == "enum":
        named[schema["name"]] = st.sampled_from(schema["symbols"])
        return named[schema["name"]]
    if schema["type"] in ("array", "map"):
        text = PRIMITIVES["string"]
        inner = _values(schema["items" if schema["type"] == "array" else "values"], named)
        is_map = schema["type"] == "map"
        return st.dictionaries(text, inner, max_size=2) if is_map else st.lists(inner, max_size=2)
    return _values(schema["type"], named)


def _plain(schema: Any) -> Any:
    """Without logical types, which mean the same to every version."""
    if isinstance(schema, list):
        return [_plain(each) for each in cast("list[Any]", schema)]
    if isinstance(schema, dict):
        node = cast("Schema", schema)
        return {name: _plain(each) for name, each in node.items() if name != "logicalType"}
    return schema


def test_every_type_is_there() -> None:
    """The files and the codec name the same types, and each type but the newest was released."""
    assert set(VERSIONS) == {event_type.__name__ for event_type in framing.EVENT_TYPES}
    for event_type in framing.EVENT_TYPES:
        assert VERSIONS[event_type.__name__][-1] == framing.definition_of(event_type)


@pytest.mark.parametrize(("writer", "reader"), PAIRS)
def test_each_version_reads_each_other(writer: Schema, reader: Schema) -> None:
    """By Avro's rules of resolution, for every value there can be."""
    assert unreadable(reader, writer) is None


@pytest.mark.parametrize(("writer", "reader"), PAIRS)
@given(data=st.data())
def test_values_of_each_version_are_read_by_each_other(
    writer: Schema, reader: Schema, data: st.DataObject
) -> None:
    """By another implementation of the rules: shared fields keep their values.

    A symbol that the reader's enum lacks is read as that enum's default.
    """
    value = data.draw(_values(_plain(writer), {}))
    parsed = [fastavro.parse_schema(_plain(each), named_schemas={}) for each in (writer, reader)]
    body = io.BytesIO()
    fastavro.schemaless_writer(body, parsed[0], value)
    body.seek(0)
    found: Any = fastavro.schemaless_reader(body, parsed[0], parsed[1])
    assert set(found) == {field["name"] for field in reader["fields"]}
    types = {field["name"]: field["type"] for field in _plain(reader)["fields"]}
    shared = set(found) & set(value)
    expected = {name: _known(value[name], types[name]) for name in shared}
    assert {name: found[name] for name in shared} == expected


def _known(value: Any, schema: Any) -> Any:
    node = cast("Schema", schema) if isinstance(schema, dict) else {}
    is_unknown = node.get("type") == "enum" and value not in node["symbols"]
    return node["default"] if is_unknown else value


@pytest.mark.parametrize("name", sorted(VERSIONS))
def test_every_enum_has_a_default(name: str) -> None:
    """So a symbol may be added later: a reader elsewhere that doesn't know it goes on."""
    enums: list[Any] = []
    waiting: list[Any] = [VERSIONS[name][-1]]
    while waiting:
        each = waiting.pop()
        if isinstance(each, dict):
            node = cast("Schema", each)
            enums += [node] if node.get("type") == "enum" else []
            waiting += node.values()
        elif isinstance(each, list):
            waiting += cast("list[Any]", each)
    assert all(enum.get("default") in enum["symbols"] for enum in enums)


def _changed(change: Callable[[Schema], object]) -> Schema:
    schema = copy.deepcopy(VERSIONS["UserRow"][-1])
    change(schema)
    return schema


def _field(schema: Schema, name: str) -> Schema:
    return next(field for field in schema["fields"] if field["name"] == name)


BREAKING: list[Callable[[Schema], object]] = [
    lambda schema: schema["fields"].append({"name": "new", "type": "string"}),
    lambda schema: schema["fields"].remove(_field(schema, "key")),
    lambda schema: _field(schema, "present").update(type="string"),
    lambda schema: _field(schema, "present").update(type="long"),
    lambda schema: _field(schema, "email").update(type=["null", "string", "int"]),
    lambda schema: _field(schema, "email").update(type="string"),
    lambda schema: _field(schema, "attributes")["type"].update(values="string"),
    lambda schema: _field(schema, "mode")["type"].update(name="Mode"),
    lambda schema: _field(schema, "mode")["type"].pop("default"),
    lambda schema: _field(schema, "key").update(name="user_key"),
    lambda schema: schema.update(name="User"),
]


@pytest.mark.parametrize("change", BREAKING)
def test_the_gate_shuts(change: Callable[[Schema], object]) -> None:
    """Each change that breaks a reader or a writer of today is found, in one direction at least."""
    today, changed = VERSIONS["UserRow"][-1], _changed(change)
    _field(today_with_symbol := copy.deepcopy(today), "mode")["type"]["symbols"].append("merge")
    others = (today, today_with_symbol)
    found = [unreadable(changed, each) or unreadable(each, changed) for each in others]
    assert any(found)


ALLOWED: list[Callable[[Schema], object]] = [
    lambda schema: schema["fields"].append(
        {"name": "new", "type": ["null", "string"], "default": None}
    ),
    lambda schema: schema["fields"].remove(_field(schema, "raw")),
    lambda schema: schema["fields"].reverse(),
    lambda schema: _field(schema, "mode")["type"]["symbols"].append("merge"),
    lambda schema: schema.update(doc="Other words."),
]


@pytest.mark.parametrize("change", ALLOWED)
def test_the_gate_lets_through(change: Callable[[Schema], object]) -> None:
    """What may change: fields with defaults come, go and change places, symbols are added."""
    today, changed = VERSIONS["UserRow"][-1], _changed(change)
    assert unreadable(today, changed) is None
    assert unreadable(changed, today) is None


def _record(fields: list[Any], name: str = "UserRow", **more: Any) -> str:
    return json.dumps(
        {"type": "record", "name": name, "namespace": "rollcall", "fields": fields} | more
    )


def _nested(depth: int, innermost: Any) -> Any:
    """Records in records, each holding the one below twice: 2 ** depth of the innermost."""
    inner, again = innermost, innermost
    for level in range(depth):
        fields: list[Any] = [{"name": "a", "type": inner}, {"name": "b", "type": again}]
        again = f"N{level}"
        inner = {"type": "record", "name": again, "fields": fields}
    return cast("Any", inner)


ALL_FIELDS: list[Any] = VERSIONS["UserRow"][-1]["fields"]
HOSTILE = {
    "recursive": _record(
        [*ALL_FIELDS, {"name": "r", "type": ["null", "UserRow"], "default": None}]
    ),
    "an array of items that take no bytes": _record(
        [*ALL_FIELDS, {"name": "a", "type": {"type": "array", "items": "null"}}]
    ),
    "items that take no bytes": _record(
        [
            *ALL_FIELDS,
            {
                "name": "a",
                "type": {"type": "array", "items": {"type": "record", "name": "E", "fields": []}},
            },
        ]
    ),
    "steps to read": _record([*ALL_FIELDS, {"name": "n", "type": _nested(20, "null")}]),
    "deep": _record([*ALL_FIELDS, {"name": "n", "type": _nested(40, "int")}]),
    "defined twice": _record([*ALL_FIELDS, {"name": "m", "type": ALL_FIELDS[5]["type"]}]),
    "not defined": _record([*ALL_FIELDS, {"name": "m", "type": "Nowhere"}]),
    "no schema": _record([*ALL_FIELDS, {"name": "m", "type": 7}]),
    "larger than": _record(ALL_FIELDS, doc="x" * (300 << 10)),
    "no JSON": "{" * 100_000,
    "no record of ours": _record(ALL_FIELDS, name="Order"),
    "missing and has no default": _record([]),
    "has no fields": json.dumps({"type": "record", "name": "rollcall.UserRow"}),
}


@pytest.mark.parametrize("reason", sorted(HOSTILE))
def test_hostile_schemas_are_refused(reason: str) -> None:
    """Before anything is read with them, each for its reason."""
    readers = {f"rollcall.{name}": versions[-1] for name, versions in VERSIONS.items()}
    with pytest.raises(UnusableSchemaError, match=reason):
        check_writer(HOSTILE[reason], readers)
    with framing.forgetting_ids():
        framing.learn(1, HOSTILE[reason])
        with pytest.raises(codec.UndecodableError, match="INCOMPATIBLE_SCHEMA"):
            codec.decode(framing.confluent_frame(1) + b"x")
