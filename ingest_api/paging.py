"""Pages of a list, as a request's query asks for them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from ingest_api.operations import Parameter
from ingest_api.request_head import MOST_INT64, query_number

if TYPE_CHECKING:
    from sanic import Request

PAGE_SIZE: Final = 20
MOST_PAGE_SIZE: Final = 1000


@dataclass(frozen=True, slots=True)
class Page:
    """``size`` entries from index ``start`` on, of those after the key ``after``."""

    start: int = 0
    size: int = PAGE_SIZE
    after: int = 0


def page_of(request: Request[Any, Any]) -> Page:
    """The page that the query asks for.

    Raises:
        Refused: 400, where ``start``, ``pageSize`` or ``after`` is not what the contract allows.
    """
    return Page(
        start=query_number(request, "start", 0, least=0, most=MOST_INT64),
        size=query_number(request, "pageSize", PAGE_SIZE, least=1, most=MOST_PAGE_SIZE),
        after=query_number(request, "after", 0, least=0, most=MOST_INT64),
    )


PAGE_PARAMETERS: Final = (
    Parameter(
        name="start",
        place="query",
        description="Index of the first entry, from 0; beyond the end the page is empty.",
        schema={"type": "integer", "minimum": 0, "maximum": MOST_INT64, "default": 0},
    ),
    Parameter(
        name="pageSize",
        place="query",
        description="How many entries the page has, where there are that many.",
        schema={
            "type": "integer",
            "minimum": 1,
            "maximum": MOST_PAGE_SIZE,
            "default": PAGE_SIZE,
        },
    ),
)


def after_parameter(description: str) -> Parameter:
    """The parameter ``after``, which pages by key at any depth at the same cost."""
    return Parameter(
        name="after",
        place="query",
        description=description,
        schema={"type": "integer", "minimum": 0, "maximum": MOST_INT64, "default": 0},
    )
