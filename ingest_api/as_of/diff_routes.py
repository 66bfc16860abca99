"""`GET …/audience/diff`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from ingest_api.as_of.diff import KINDS, DiffPage, Sides
from ingest_api.as_of.operations import AUDIENCE_DIFF
from ingest_api.auth.middleware import account_of
from ingest_api.errors import invalid_parameter
from ingest_api.openapi.described import described
from ingest_api.openapi.response_types import AudienceDifference
from ingest_api.web.paging import MOST_PAGE_SIZE, PAGE_SIZE
from ingest_api.web.parameters import query_number, query_values

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sanic import Blueprint, Request

    from ingest_api.as_of.diff import AudienceDiff, FoundDifferences, Kind
    from ingest_api.as_of.parameters import AsOfParameters
    from ingest_api.as_of.past_audiences import PastAudiences

_LONGEST_KEY: Final = 1000


def add_diff_route(
    api: Blueprint, points: AsOfParameters, past: PastAudiences, diff: AudienceDiff
) -> None:
    """Add the route."""

    @api.get("/audience/diff")
    @described(AUDIENCE_DIFF)
    async def audience_diff(request: Request[Any, Any]) -> AudienceDifference:
        account = account_of(request, "reader").name
        page = _page(request)
        both = [await points.point(request, name) for name in ("from", "to")]

        async def compare(schemas: Sequence[str]) -> FoundDifferences:
            return await diff.select_page(Sides(*schemas), page)

        differences = await past.read(both, account, compare)
        return AudienceDifference(
            from_=str(both[0]), to=str(both[1]), **differences.counts, entries=differences.entries
        )

    _ = audience_diff


def _page(request: Request[Any, Any]) -> DiffPage:
    """Parse the page that the query asks for.

    Raises:
        InvalidRequestError: one of its parameters is not what it may be.
    """
    return DiffPage(
        kinds=_kinds(query_values(request).get("kind")),
        after=_after(query_values(request).get("after", [""])),
        size=query_number(request, "pageSize", PAGE_SIZE, least=1, most=MOST_PAGE_SIZE),
    )


def _kinds(values: list[str] | None) -> tuple[Kind, ...]:
    if values is None:
        return KINDS
    if not set(values) <= set(KINDS):
        raise invalid_parameter("kind", f"kind is one of {', '.join(KINDS)}.")
    return tuple(kind for kind in KINDS if kind in values)


def _after(values: list[str]) -> str:
    """Parse the key; any text may be one, except what Postgres cannot hold."""
    if len(values) != 1 or "\0" in values[0] or len(values[0]) > _LONGEST_KEY:
        raise invalid_parameter("after", "after is the key of a user, such as an email.")
    return values[0]
