"""The routes of dead letters and of other producers' sources."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from ingest_api.auth.middleware import account_of
from ingest_api.errors import invalid_parameter
from ingest_api.openapi.described import described
from ingest_api.producers.dead_letters import RETRIED, DeadLetterFilter
from ingest_api.producers.operations import (
    LIST_LETTERS,
    RETRY_LETTER,
    SHOW_LETTER,
    SOURCES,
    LetterRetried,
)
from ingest_api.web.paging import page_of
from ingest_api.web.parameters import query_number, query_values

if TYPE_CHECKING:
    from sanic import Blueprint, Request

    from ingest_api.producers.dead_letter_views import DeadLetterPage, WholeDeadLetter
    from ingest_api.producers.dead_letters import DeadLetters
    from ingest_api.producers.source_counts import SourcePage, SourceReads

_MOST_PARTITION: Final = 2**31 - 1


def add_producer_routes(api: Blueprint, dead_letters: DeadLetters, sources: SourceReads) -> None:
    """Add the routes below ``/admin/dead-letters``, and ``/batchinfo/sources``."""

    @api.get("/batchinfo/sources")
    @described(SOURCES)
    async def source_page(request: Request[Any, Any]) -> SourcePage:
        account_of(request, "reader")
        return await sources.select_page(page_of(request))

    @api.get("/admin/dead-letters")
    @described(LIST_LETTERS)
    async def letter_page(request: Request[Any, Any]) -> DeadLetterPage:
        account_of(request, "admin")
        return await dead_letters.select_page(_filter(request), page_of(request))

    @api.get("/admin/dead-letters/<letter_id:str>")
    @described(SHOW_LETTER)
    async def one_letter(request: Request[Any, Any], letter_id: str) -> WholeDeadLetter:
        account_of(request, "admin")
        return await dead_letters.fetch(letter_id)

    @api.route("/admin/dead-letters/<letter_id:str>/retry", methods=["POST"], ignore_body=True)
    @described(RETRY_LETTER)
    async def retry_letter(request: Request[Any, Any], letter_id: str) -> LetterRetried:
        by = account_of(request, "admin")
        done = await dead_letters.retry(letter_id, by=by.name, again=_is_again(request))
        return LetterRetried(letter_id, RETRIED, done.partition, done.offset)

    _ = source_page, letter_page, one_letter, retry_letter


def _filter(request: Request[Any, Any]) -> DeadLetterFilter:
    """Parse the filter of the query.

    Raises:
        InvalidRequestError: a filter is empty, repeated, or no number.
    """
    query = query_values(request)
    reasons = query.get("reason", [])
    if len(reasons) > 1 or not all(reasons):
        raise invalid_parameter("reason", "reason is one code, or left out.")
    partition = None
    if "sourcePartition" in query:
        partition = query_number(request, "sourcePartition", 0, least=0, most=_MOST_PARTITION)
    return DeadLetterFilter(reasons[0] if reasons else None, partition)


def _is_again(request: Request[Any, Any]) -> bool:
    values = query_values(request).get("again", ["false"])
    if values not in (["true"], ["false"]):
        raise invalid_parameter("again", "again is true or false.")
    return values == ["true"]
