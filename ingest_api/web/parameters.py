"""Reads the headers and query parameters of a request as texts and numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, cast

from ingest_api.errors import invalid_parameter

if TYPE_CHECKING:
    from sanic import Request

MOST_INT64: Final = 2**63 - 1
_MOST_DIGITS: Final = 19


def header_values(request: Request[Any, Any], name: str) -> list[str]:
    """Return the values of each header with this name, in order."""
    return cast("list[str]", request.headers.getall(name, []))


def header(request: Request[Any, Any], name: str) -> str | None:
    """Return the value of the header if it is given once, else None."""
    values = header_values(request, name)
    return values[0] if len(values) == 1 else None


def query_values(request: Request[Any, Any]) -> dict[str, list[str]]:
    """Return the parameters of the query, by name."""
    return cast("dict[str, list[str]]", dict(request.get_args(keep_blank_values=True)))


def query_number(
    request: Request[Any, Any], name: str, default: int, *, least: int, most: int
) -> int:
    """Return the parameter as a whole number within the bounds, both included.

    Raises:
        InvalidRequestError: it is anything else, or repeated.
    """
    values = query_values(request).get(name, [])
    if not values:
        return default
    value = whole_number(values[0], most)
    if len(values) > 1 or value is None or value < least:
        raise invalid_parameter(name, f"{name} is a whole number from {least} to {most}.")
    return value


def whole_number(text: str, most: int = MOST_INT64) -> int | None:
    """Parse ASCII digits, or return None; ``int`` would take other scripts' digits too."""
    if not (text.isascii() and text.isdigit() and len(text) <= _MOST_DIGITS):
        return None
    number = int(text)
    return number if number <= most else None
