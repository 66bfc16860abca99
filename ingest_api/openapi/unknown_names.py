"""Refuses query parameters and form fields that the request's operation does not declare.

What is misspelt would otherwise have no effect, so that a trial became a real import.
Names are compared exactly; those of headers have no case, as HTTP says.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, cast

import msgspec

from ingest_api.errors import Detail, InvalidRequestError
from schemas.rules.nearest import nearest, question

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from ingest_api.openapi.operation import Operation

UNKNOWN_PARAMETER: Final = "UNKNOWN_PARAMETER"
MULTIPART: Final = "multipart/form-data"
IGNORED_IN_QUERY: Final = frozenset({"_"})
"""jQuery and others put a number there, so that no cache answers."""
IGNORED_IN_FORM: Final = frozenset({"_charset_", "submit", "MAX_FILE_SIZE"})
"""What forms of HTML send besides: the page's charset (HTML standard, 4.10.18.6), the pressed
button's usual name, and the limit that PHP's manual has before a file."""
_OTHERS_WORDS: Final = {
    "page": ("start", "pageSize"),
    "offset": ("start",),
    "skip": ("start",),
    "limit": ("pageSize",),
    "size": ("pageSize",),
    "count": ("pageSize",),
    "perpage": ("pageSize",),
    "cursor": ("after",),
    "phone": ("mobileNumber",),
    "mode": ("importType",),
    "separator": ("DELIMITER",),
    "sep": ("DELIMITER",),
    "file": ("uploadFile",),
    "user": ("importedBy",),
    "account": ("importedBy",),
    "status": ("state",),
    "q": ("search",),
    "query": ("search",),
    "name": ("search",),
}
"""The same in other APIs, as :func:`schemas.rules.attributes.plain_name` writes it."""
_MOST_TOLD: Final = 10
_SHOWN_CHARACTERS: Final = 100


def refuse_unknown_parameters(operation: Operation, query: Mapping[str, Sequence[str]]) -> None:
    """Refuse a query with a parameter that the operation does not declare.

    Raises:
        InvalidRequestError: naming each, and what was probably meant.
    """
    known = [each.name for each in operation.all_parameters if each.place == "query"]
    _refuse(operation, query, known, IGNORED_IN_QUERY, "query parameter")


def refuse_unknown_fields(operation: Operation, fields: Mapping[str, Sequence[str]]) -> None:
    """Refuse a form with a field that the operation does not declare.

    Raises:
        InvalidRequestError: naming each, and what was probably meant.
    """
    known = (operation.body or {})[MULTIPART]["properties"]
    _refuse(operation, fields, known, IGNORED_IN_FORM, "form field")


def _refuse(
    operation: Operation,
    given: Mapping[str, Sequence[str]],
    known: Iterable[str],
    ignored: frozenset[str],
    what: str,
) -> None:
    unknown = [
        name
        for name, values in given.items()
        if name not in ignored and not _is_known(name, known) and (name or any(values))
    ]
    if unknown:
        details = [
            Detail(UNKNOWN_PARAMETER, _message(operation, name, known, what), column=_shown(name))
            for name in unknown[:_MOST_TOLD]
        ]
        raise InvalidRequestError(operation.invalid_message, details)


def _is_known(name: str, known: Iterable[str]) -> bool:
    """Return whether the name is declared; ``attributes.{name}`` declares all that begin so."""
    return name in known or any(
        name.startswith(prefix) and name != prefix
        for prefix, brace, _ in (each.partition("{") for each in known)
        if brace
    )


def _message(operation: Operation, name: str, known: Iterable[str], what: str) -> str:
    shown = _shown(name)
    place = _other_places(operation, what).get(name.lower())
    if place is not None and name.lower() not in map(str.lower, known):
        return f"{shown} is no {what} here: send it as {place}."
    meant = question(nearest(name, known, _OTHERS_WORDS))
    if meant:
        return f"There is no {what} {shown}{meant}"
    return f"There is no {what} {shown}: this request takes {', '.join(known) or 'none'}."


def _other_places(operation: Operation, what: str) -> dict[str, str]:
    """Return where else the operation has its names, by the name in lower case."""
    places = {
        each.name.lower(): "a header" for each in operation.parameters if each.place == "header"
    }
    for media_type, body in (operation.body or {}).items():
        kind = "a form field" if media_type == MULTIPART else "a field of the body"
        if what != "form field" or media_type != MULTIPART:
            places |= dict.fromkeys(map(str.lower, _fields_of(body)), kind)
    return places


def _fields_of(body: Any) -> Iterable[str]:
    if isinstance(body, dict):
        return cast("dict[str, Any]", body).get("properties", ())
    return [field.encode_name for field in msgspec.structs.fields(body)]


def _shown(name: str) -> str:
    return name[:_SHOWN_CHARACTERS]
