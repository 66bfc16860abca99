"""Reads the paging parameters of a request."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote, urlencode

from ingest_api.web.parameters import MOST_INT64, query_number, query_values

if TYPE_CHECKING:
    from sanic import Request

PAGE_SIZE: Final = 20
MOST_PAGE_SIZE: Final = 1000
TOTAL_COUNT: Final = "X-Total-Count"
"""The header that says how many rows a stream has, so that a client knows when it has all."""


@dataclass(frozen=True, slots=True)
class Page:
    """A page: ``size`` entries from index ``start`` on, of those after the key ``after``."""

    start: int = 0
    size: int = PAGE_SIZE
    after: int = 0


def page_of(request: Request[Any, Any]) -> Page:
    """Return the page that the query asks for by index.

    Raises:
        InvalidRequestError: ``start`` or ``pageSize`` is not what the contract allows.
    """
    return Page(
        start=query_number(request, "start", 0, least=0, most=MOST_INT64),
        size=query_number(request, "pageSize", PAGE_SIZE, least=1, most=MOST_PAGE_SIZE),
    )


def keyed_page_of(request: Request[Any, Any]) -> Page:
    """Return the page that the query asks for by index, key, or both.

    Raises:
        InvalidRequestError: ``start``, ``pageSize`` or ``after`` is not what the contract allows.
    """
    after = query_number(request, "after", 0, least=0, most=MOST_INT64)
    return replace(page_of(request), after=after)


def next_link(request: Request[Any, Any], **changed: int | str) -> str:
    """Return the ``Link`` to the next page (RFC 8288): this request with these parameters."""
    query = {**query_values(request), **{name: [str(value)] for name, value in changed.items()}}
    return f'<{quote(request.path)}?{urlencode(query, doseq=True)}>; rel="next"'
