"""An OpenAPI 3.1 document as OpenAPI 3.0 says it, for readers that know no other.

The viewer in the package ``swagger-ui-bundle`` (Swagger UI 4) is one.
https://www.openapis.org/blog/2021/02/16/migrating-from-openapi-3-0-to-3-1-0
"""

from __future__ import annotations

from typing import Any, Final, cast

_NULL: Final = {"type": "null"}
_SCHEMA_WORDS: Final = ("type", "anyOf", "$ref", "enum", "const", "properties")
_VALUES: Final = ("value", "example", "default", "enum")
_UNKNOWN: Final = ("contentMediaType", "contentEncoding")


def as_3_0(document: dict[str, Any]) -> dict[str, Any]:
    """The same document in the words of OpenAPI 3.0; what those can't say is left out."""
    found = cast("dict[str, Any]", _without_3_1(document))
    found["openapi"] = "3.0.3"
    del found["info"]["license"]["identifier"]
    return found


def _without_3_1(value: object) -> object:
    if isinstance(value, list):
        return [_without_3_1(each) for each in cast("list[object]", value)]
    if not isinstance(value, dict):
        return value
    members = cast("dict[str, object]", value)
    found = {name: _member(name, each) for name, each in members.items()}
    return _schema(found) if any(word in found for word in _SCHEMA_WORDS) else found


def _member(name: str, value: object) -> object:
    if name in _VALUES:
        return value
    if name == "properties":  # of any names, so it is never itself taken for a schema
        return {each: _without_3_1(of) for each, of in cast("dict[str, object]", value).items()}
    return _without_3_1(value)


def _schema(schema: dict[str, Any]) -> dict[str, Any]:
    found = {name: value for name, value in schema.items() if name not in _UNKNOWN}
    choices: Any = found.get("anyOf")
    if isinstance(choices, list) and _NULL in choices:
        del found["anyOf"]
        others = [choice for choice in cast("list[Any]", choices) if choice != _NULL]
        found |= {"nullable": True} | (others[0] if len(others) == 1 else {"anyOf": others})
    examples: Any = found.get("examples")
    if isinstance(examples, list):
        del found["examples"]
        found["example"] = examples[0]
    if not found.get("required", True):
        del found["required"]
    if "const" in found:
        found["enum"] = [found.pop("const")]
    return found
