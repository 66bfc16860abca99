"""Encodes HTTP answers; makes answers of the errors of the domain."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import UNSET
from sanic.response import HTTPResponse

from ingest_api.errors import RETRY_AFTER_S, LimitReachedError, UnavailableError
from ingest_api.web.encoding import encoded
from ingest_api.web.refused import (
    Refusal,
    RefusalDetail,
    Refused,
    refusal_by_http,
    status_of,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    import msgspec

    from ingest_api.errors import (
        IngestError,
    )


def json_answer(
    status: int,
    body: msgspec.Struct,
    headers: Mapping[str, str] | None = None,
) -> HTTPResponse:
    """Return the body as JSON that no cache may keep: it shows users' data or somebody's job."""
    return HTTPResponse(
        encoded(body),
        status=status,
        headers={"Cache-Control": "no-store", **(headers or {})},
        content_type="application/json",
    )


def refusal(error: IngestError | Refused) -> HTTPResponse:
    """Return the answer of a request that ended with this error."""
    if isinstance(error, Refused):
        return json_answer(
            error.status, refusal_by_http(error.status, error.message), error.headers
        )
    headers: dict[str, str] = {}
    body = Refusal(error.message, error.code, details=_details(error))
    if isinstance(error, LimitReachedError):
        headers["Retry-After"] = str(error.retry_after_s)
    if isinstance(error, UnavailableError):
        headers["Retry-After"] = str(RETRY_AFTER_S)
        body = Refusal(
            error.message,
            error.code,
            id=UNSET if error.job_id is None else str(error.job_id),
            event_id=UNSET if error.event_id is None else error.event_id,
        )
    return json_answer(status_of(type(error)), body, headers)


def _details(error: IngestError) -> list[RefusalDetail] | msgspec.UnsetType:
    return [
        RefusalDetail(detail.line, detail.column, detail.code, detail.message)
        for detail in error.details
    ] or UNSET
