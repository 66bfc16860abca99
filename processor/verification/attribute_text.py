"""Canonical text of custom attributes, made from events and from what Postgres prints alike."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, cast

from schemas.rules.attributes import CANONICAL_NUMBER

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from schemas.rules.attributes import Attribute

    Tokens = dict[str, str]


def tokens_of(
    pairs: Iterable[tuple[str, str | None]], defined: Mapping[str, Attribute]
) -> dict[str, str | None]:
    """Return the JSON of each value by name, typed as it was defined; None clears one."""
    return {name: None if text is None else _token(text, defined.get(name)) for name, text in pairs}


def merged(before: Mapping[str, str], change: Mapping[str, str | None]) -> Tokens:
    """Return the attributes after a change."""
    return {name: token for name, token in {**before, **change}.items() if token is not None}


def canonical(tokens: Mapping[str, str]) -> str:
    """Return one text for equal attributes, whatever their order."""
    return "{" + ", ".join(f"{json.dumps(name)}: {tokens[name]}" for name in sorted(tokens)) + "}"


def canonical_of_json(text: str) -> str:
    """Do the same with what Postgres prints for a jsonb value; keep JSON that is no object."""
    try:
        found: object = json.loads(text, parse_int=_Number, parse_float=_Number)
    except ValueError:
        return text
    if not isinstance(found, dict):
        return text
    return canonical(
        {name: _printed(value) for name, value in cast("dict[str, Any]", found).items()}
    )


class _Number(str):
    """A number as it was written."""

    __slots__ = ()


def _printed(value: Any) -> str:
    return str(value) if isinstance(value, _Number) else json.dumps(value)


def _token(text: str, attribute: Attribute | None) -> str:
    attribute_type = attribute.type if attribute else "string"
    if attribute_type == "number" and re.fullmatch(CANONICAL_NUMBER, text):
        return "0" if text == "-0" else text
    if attribute_type == "boolean" and text in {"true", "false"}:
        return text
    return json.dumps(text)
