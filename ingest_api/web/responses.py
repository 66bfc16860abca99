"""Answers of the HTTP contract: their exact messages, as JSON."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from sanic.response import HTTPResponse

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

UPLOAD_ACCEPTED: Final = "File uploaded successfully, import is in progress."
INVALID_FILE: Final = "Please upload a valid CSV file"
UNAUTHORIZED: Final = "Unauthorized request"
LOG_HELD: Final = "The log is being moved: nothing was kept, try again"
SERVER_FAILURE: Final = "Server failure to process request"
UNKNOWN_JOB: Final = "Invalid request ID. No request found with the provided ID"
UNKNOWN_USER: Final = (
    "Invalid audience member ID provided or no audience member found with given ID"
)
NO_ERROR_FILE: Final = (
    "There is no CSV of this job's errors, because its file was taken before headers were kept:"
    " ask for application/json"
)
RETRY_AFTER_S: Final = 5


@dataclass(frozen=True, slots=True)
class Detail:
    """One thing that is wrong with a request; ``line`` and ``column`` are of the file."""

    code: str
    message: str
    line: int | None = None
    column: str | int | None = None


@dataclass(eq=False, slots=True)
class Refused(Exception):  # noqa: N818 - an answer, not an error of the service
    """Ends a request with an answer other than 200; nothing of it is kept."""

    status: int
    message: str
    details: Sequence[Detail] = ()
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    further: Mapping[str, object] = field(default_factory=dict[str, object])


def invalid_file(*details: Detail) -> Refused:
    """400: the form or its file cannot be read."""
    return Refused(400, INVALID_FILE, details)


def invalid_parameter(name: str, message: str) -> Refused:
    """400: a query parameter is not what the contract allows."""
    return Refused(
        400, "Invalid request parameter", [Detail("INVALID_PARAMETER", message, column=name)]
    )


def unavailable(message: str, **further: object) -> Refused:
    """503: the surroundings do not answer; the same request may be sent again."""
    return Refused(503, message, headers={"Retry-After": str(RETRY_AFTER_S)}, further=further)


def forbidden(role: str) -> Refused:
    """403: the account's role is too low."""
    return Refused(403, f"The role {role} is needed for this request")


def json_answer(
    status: int, body: Mapping[str, Any], headers: Mapping[str, str] | None = None
) -> HTTPResponse:
    """A JSON answer that no cache may keep: it shows users' data or somebody's job."""
    return HTTPResponse(
        json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode(errors="replace"),
        status=status,
        headers={"Cache-Control": "no-store", **(headers or {})},
        content_type="application/json",
    )


def refusal(refused: Refused) -> HTTPResponse:
    """The answer of a refused request."""
    body: dict[str, object] = {"message": refused.message, **refused.further}
    if refused.details:
        body["details"] = [
            {
                "line": detail.line,
                "column": detail.column,
                "code": detail.code,
                "message": detail.message,
            }
            for detail in refused.details
        ]
    return json_answer(refused.status, body, refused.headers)
