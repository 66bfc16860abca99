"""The routes of dead letters and of other producers' sources."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from ingest_api.auth.middleware import account_of
from ingest_api.errors import invalid_parameter
from ingest_api.openapi.described import described
from ingest_api.producers.dead_letter_views import (
    FieldChange,
    RefusedRetry,
    changed_by,
    changed_text,
)
from ingest_api.producers.dead_letters import (
    KEY_CHANGED,
    RETRIED,
    DeadLetterFilter,
    KeyChangedError,
    RetryRequest,
)
from ingest_api.producers.operations import (
    LIST_LETTERS,
    RETRY_LETTER,
    SHOW_LETTER,
    SOURCES,
    LetterRetried,
)
from ingest_api.web.paging import page_of
from ingest_api.web.parameters import query_number, query_values
from ingest_api.web.refused import RefusalDetail

if TYPE_CHECKING:
    from sanic import Blueprint, Request

    from ingest_api.event_log.job_events import JobLog
    from ingest_api.producers.dead_letter_views import ChangedBy, DeadLetterPage, WholeDeadLetter
    from ingest_api.producers.dead_letters import DeadLetters
    from ingest_api.producers.later_changes import Change
    from ingest_api.producers.source_counts import SourcePage, SourceReader

_MOST_PARTITION: Final = 2**31 - 1


def add_producer_routes(
    api: Blueprint, dead_letters: DeadLetters, sources: SourceReader, job_log: JobLog
) -> None:
    """Add the routes below ``/admin/dead-letters``, and ``/batchinfo/sources``."""

    @api.get("/batchinfo/sources")
    @described(SOURCES)
    async def source_page(request: Request[Any, Any]) -> SourcePage:
        return await sources.select_page(page_of(request))

    @api.get("/admin/dead-letters")
    @described(LIST_LETTERS)
    async def letter_page(request: Request[Any, Any]) -> DeadLetterPage:
        return await dead_letters.select_page(_filter(request), page_of(request))

    @api.get("/admin/dead-letters/<letter_id:str>")
    @described(SHOW_LETTER)
    async def one_letter(_request: Request[Any, Any], letter_id: str) -> WholeDeadLetter:
        return await dead_letters.fetch(letter_id)

    @api.route("/admin/dead-letters/<letter_id:str>/retry", methods=["POST"], ignore_body=True)
    @described(RETRY_LETTER)
    async def retry_letter(
        request: Request[Any, Any], letter_id: str
    ) -> LetterRetried | RefusedRetry:
        retry_request = RetryRequest(
            by=account_of(request).name,
            again=_is_said(request, "again"),
            over_newer=_is_said(request, "overNewer"),
        )
        try:
            done = await dead_letters.retry(letter_id, retry_request)
        except KeyChangedError as error:
            return _refused_retry(error, job_log)
        overtaken = done.overtaken and _changed_by(done.overtaken, done.partition, job_log)
        return LetterRetried(letter_id, RETRIED, done.partition, done.offset, overtaken)

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


def _is_said(request: Request[Any, Any], name: str) -> bool:
    values = query_values(request).get(name, ["false"])
    if values not in (["true"], ["false"]):
        raise invalid_parameter(name, f"{name} is true or false.")
    return values == ["true"]


def _refused_retry(error: KeyChangedError, job_log: JobLog) -> RefusedRetry:
    found = _changed_by(error.change, error.partition, job_log)
    detail = f"It was changed by {changed_text(found)}: say overNewer=true to retry it all the same"
    return RefusedRetry(
        message=KEY_CHANGED,
        code=KeyChangedError.code,
        details=[RefusalDetail(None, "overNewer", "KEY_CHANGED_LATER", detail)],
        changed_by=found,
        would_set=msgspec.convert(error.changes, dict[str, FieldChange] | None),
    )


def _changed_by(change: Change, partition: int, job_log: JobLog) -> ChangedBy:
    job_id = change.event.job_id
    job = None if job_id is None else job_log.ledger.job(job_id)
    return changed_by(change, partition, job and job.accepted)
