"""`GET …/audience/diff`."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Final

from ingest_api.as_of.diff import KINDS, DiffPage, Sides
from ingest_api.as_of.diff_stream import csv_differences, json_differences, parquet_differences
from ingest_api.as_of.operations import AUDIENCE_DIFF
from ingest_api.auth.middleware import account_of
from ingest_api.errors import invalid_parameter
from ingest_api.openapi.described import Answered, described
from ingest_api.openapi.operation import JSON
from ingest_api.openapi.response_types import AudienceDifference
from ingest_api.web.content_negotiation import CONTENT_TYPES, CSV, NDJSON, PARQUET, preferred
from ingest_api.web.paging import MOST_PAGE_SIZE, PAGE_SIZE
from ingest_api.web.parameters import header_values, query_number, query_values
from ingest_api.web.streaming import send_rows

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sanic import Blueprint, Request

    from ingest_api.as_of.diff import AudienceDiff, FoundDifferences, Kind
    from ingest_api.as_of.parameters import AsOfParameters
    from ingest_api.as_of.past_audiences import PastAudiences
    from ingest_api.postgres.row_stream import RowStream, RowStreams
    from ingest_api.projections.point_in_time import Point

_LONGEST_KEY: Final = 1000


_HEADERS: Final = {"Vary": "Accept"}
_STREAMED: Final = {
    CSV: csv_differences,
    NDJSON: json_differences,
    PARQUET: parquet_differences,
}


class DiffReads:
    """Reads differences of two points: a page with counts, or all of them as a stream."""

    def __init__(self, past: PastAudiences, diff: AudienceDiff, streams: RowStreams) -> None:
        self._past = past
        self._diff = diff
        self._streams = streams

    async def page(self, points: Sequence[Point], account: str, page: DiffPage) -> FoundDifferences:
        """Return a page; see :meth:`AudienceDiff.select_page`."""

        async def compare(schemas: Sequence[str]) -> FoundDifferences:
            return await self._diff.select_page(Sides(*schemas), page)

        return await self._past.read(points, account, compare)

    async def stream(
        self, points: Sequence[Point], account: str, page: DiffPage, media_type: str
    ) -> RowStream:
        """Open the stream of all differences of the page's kinds after its key."""
        work = partial(_STREAMED[media_type], page=page)

        async def compare(schemas: Sequence[str]) -> RowStream:
            return await self._streams.open(work, {"old": schemas[0], "new": schemas[1]})

        return await self._past.read(points, account, compare)


def add_diff_route(api: Blueprint, points: AsOfParameters, reads: DiffReads) -> None:
    """Add the route."""

    @api.get("/audience/diff")
    @described(AUDIENCE_DIFF)
    async def audience_diff(request: Request[Any, Any]) -> Answered | None:
        account = account_of(request).name
        page = _page(request)
        media_type = preferred(header_values(request, "accept"), (JSON, *_STREAMED)) or JSON
        both = [await points.point(request, name) for name in ("from", "to")]
        if media_type == JSON:
            differences = await reads.page(both, account, page)
            return Answered(_answer(both, differences), _HEADERS)
        rows = await reads.stream(both, account, page, media_type)
        await send_rows(request, rows, content_type=CONTENT_TYPES[media_type], headers=_HEADERS)
        return None

    _ = audience_diff


def _answer(both: Sequence[Point], differences: FoundDifferences) -> AudienceDifference:
    return AudienceDifference(
        from_=str(both[0]), to=str(both[1]), **differences.counts, entries=differences.entries
    )


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
