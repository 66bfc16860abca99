"""Encodes HTTP answers; maps the errors of the domain to statuses in one table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from msgspec import UNSET
from sanic.response import HTTPResponse

from ingest_api.errors import (
    RETRY_AFTER_S,
    ConflictError,
    InvalidRequestError,
    LimitReachedError,
    NotFoundError,
    RoleTooLowError,
    TooSlowError,
    UnavailableError,
)
from ingest_api.web.encoding import encoded
from ingest_api.web.refused import Refusal, RefusalDetail, Refused

if TYPE_CHECKING:
    from collections.abc import Mapping

    import msgspec

    from ingest_api.errors import (
        IngestError,
    )

_STATUS: Final[Mapping[type[IngestError], int]] = {
    InvalidRequestError: 400,
    RoleTooLowError: 403,
    NotFoundError: 404,
    TooSlowError: 408,
    ConflictError: 409,
    LimitReachedError: 429,
    UnavailableError: 503,
}


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
        return json_answer(error.status, Refusal(error.message), error.headers)
    headers: dict[str, str] = {}
    body = Refusal(error.message, details=_details(error))
    if isinstance(error, LimitReachedError):
        headers["Retry-After"] = str(error.retry_after_s)
    if isinstance(error, UnavailableError):
        headers["Retry-After"] = str(RETRY_AFTER_S)
        body = Refusal(
            error.message,
            id=UNSET if error.job_id is None else str(error.job_id),
            event_id=UNSET if error.event_id is None else error.event_id,
        )
    return json_answer(status_of(type(error)), body, headers)


def status_of(kind: type[IngestError]) -> int:
    """Return the status that an error of this type is answered with."""
    return next(_STATUS[each] for each in kind.__mro__ if each in _STATUS)


def _details(error: IngestError) -> list[RefusalDetail] | msgspec.UnsetType:
    return [
        RefusalDetail(detail.line, detail.column, detail.code, detail.message)
        for detail in error.details
    ] or UNSET
