"""Refusals by rules of HTTP itself; the body, status and code of every refusal.

A refusal that the domain decides on is an error of :mod:`ingest_api.errors`, whose statuses stand
in one table here.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Final

import msgspec
from msgspec import UNSET, Meta, UnsetType

from ingest_api.errors import (
    ConflictError,
    InvalidRequestError,
    LimitReachedError,
    LogUnavailableError,
    NotFoundError,
    RoleTooLowError,
    StoreUnavailableError,
    TooSlowError,
    UnavailableError,
    UnknownJobError,
    UnknownUserError,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ingest_api.errors import IngestError

CODES: Final = {
    401: "UNAUTHORIZED",
    404: "NOT_FOUND",
    405: "METHOD_NOT_ALLOWED",
    406: "NOT_ACCEPTABLE",
    413: "BODY_TOO_LARGE",
    415: "UNSUPPORTED_MEDIA_TYPE",
    431: "HEAD_TOO_LARGE",
    500: "SERVER_FAILURE",
}
"""What a refusal by a rule of HTTP itself is called for programs, by its status."""
UNAUTHORIZED: Final = "Unauthorized request"
SERVER_FAILURE: Final = "Server failure to process request"
_STATUS: Final[Mapping[type[IngestError], int]] = {
    InvalidRequestError: 400,
    RoleTooLowError: 403,
    NotFoundError: 404,
    TooSlowError: 408,
    ConflictError: 409,
    LimitReachedError: 429,
    UnavailableError: 503,
}

_WITH_A_MESSAGE: Final = (
    UnknownJobError(),
    UnknownUserError(),
    LogUnavailableError(""),
    StoreUnavailableError(""),
)


@dataclass(eq=False, slots=True)
class Refused(Exception):  # noqa: N818 - an answer, not an error of the service
    """Ends a request by a rule of HTTP itself, such as 401, 406, 413 and 415."""

    status: int
    message: str
    headers: Mapping[str, str] = field(default_factory=dict[str, str])


class RefusalDetail(msgspec.Struct, frozen=True, rename="camel"):
    """One thing that is wrong with a request."""

    line: Annotated[
        int | None,
        Meta(description="Of the uploaded file, the first is 1; null where it is no line's fault."),
    ]
    column: Annotated[
        str | int | None,
        Meta(description="Of the uploaded file, or the name of the parameter or field at fault."),
    ]
    code: str
    message: str


class Refusal(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """Why a request was not answered as asked; nothing of it was kept, unless it says so."""

    message: str
    code: Annotated[str, Meta(description="Why, for programs; a detail's says more, of its own.")]
    details: list[RefusalDetail] | UnsetType = UNSET
    request_id: Annotated[
        str | UnsetType, Meta(description="By which the server's log calls the request.")
    ] = UNSET
    id: Annotated[
        str | UnsetType,
        Meta(description="Of the job of which it is not known whether it was taken."),
    ] = UNSET
    event_id: Annotated[
        str | UnsetType,
        Meta(description="Of the write of which it is not known whether or when it is applied."),
    ] = UNSET


def refusal_by_http(status: int, message: str, *, request_id: str | UnsetType = UNSET) -> Refusal:
    """Return the body of a refusal by a rule of HTTP itself, or of a failure of the server."""
    return Refusal(message, CODES.get(status, "BAD_REQUEST"), request_id=request_id)


def status_of(kind: type[IngestError]) -> int:
    """Return the status that an error of this type is answered with."""
    return next(_STATUS[each] for each in kind.__mro__ if each in _STATUS)


def code_of(status: int, message: str) -> str:
    """Return the code that goes with a message, as an example of an answer of this status."""
    found = (each.code for each in _WITH_A_MESSAGE if each.message == message)
    usual = (kind.code for kind, code in _STATUS.items() if code == status)
    return next(found, None) or CODES.get(status) or next(usual)
