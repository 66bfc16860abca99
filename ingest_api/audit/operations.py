"""The OpenAPI operations of the audit log, and their answers."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

import msgspec
from msgspec import Meta

from ingest_api.openapi.operation import Operation, answer, page_parameters, query_parameter
from ingest_api.openapi.response_types import Count, Date
from ingest_api.web.dates import date_text

if TYPE_CHECKING:
    from collections.abc import Mapping

Result = Literal["done", "refused", "failed", "unknown"]
_REFUSED: Final = 400
_FAILED: Final = 500


class ActShown(msgspec.Struct, frozen=True, rename="camel"):
    """One act."""

    id: str
    date: Date
    account: Annotated[str, Meta(description="Who; `cli/<user>` of a command at the database.")]
    role: Annotated[str | None, Meta(description="That the account had.")]
    kind: Annotated[str, Meta(description="What, such as `account.add` or `job.undo`.")]
    target: Annotated[str | None, Meta(description="To what: a name or an id.")]
    address: Annotated[str | None, Meta(description="From where; of IPv6 the /64, or a host.")]
    request_id: Annotated[str | None, Meta(description="By which the server's log calls it.")]
    result: Annotated[
        Result,
        Meta(description="`unknown` where it was cut off or still runs: it may have been done."),
    ]
    status: Annotated[int | None, Meta(description="Of the answer, if any.")]
    details: Annotated[dict[str, str], Meta(description="What else is known; never a secret.")]


class ActPage(msgspec.Struct, frozen=True):
    """A page of the audit log, the newest act first."""

    total: Count
    acts: list[ActShown]


class AuditCheck(msgspec.Struct, frozen=True, rename="camel"):
    """Whether the audit log is as it was written."""

    rows: Annotated[Count, Meta(description="An act has one, and one more with its result.")]
    is_intact: bool
    broken_at: Annotated[
        str | None, Meta(description="The first row that was changed, or follows a missing one.")
    ]
    seal: Annotated[
        str | None,
        Meta(description="The hash of all rows; kept elsewhere, it shows if the last are missing."),
    ]


def act_shown(row: Mapping[str, Any]) -> ActShown:
    """Return the answer that an act of the log is."""
    return ActShown(
        id=str(row["id"]),
        date=date_text(row["recorded_at"]),
        account=row["account"],
        role=row["role"],
        kind=row["kind"],
        target=row["target"],
        address=row["address"],
        request_id=row["request_id"],
        result=_result(row["status"]),
        status=row["status"],
        details=row["details"],
    )


def _result(status: int | None) -> Result:
    if status is None:
        return "unknown"
    if status < _REFUSED:
        return "done"
    return "refused" if status < _FAILED else "failed"


_TEXTS: Final = {"type": "array", "items": {"type": "string", "minLength": 1}}
_of_audit: Final = partial(Operation, tag="Audit", role="admin")
LIST_ACTS: Final = _of_audit(
    summary="What accounts have changed, the newest first",
    description=(
        "Every request that changes something is here before it is done, with its result once it "
        "has one. Not here are imports, which the list of jobs tells, changes of single users, "
        "which their histories tell, and whoever signs in or out."
    ),
    parameters=(
        *page_parameters(),
        query_parameter(
            "account",
            "Only acts of this account; may be repeated.",
            schema=_TEXTS,
            example=["admin"],
        ),
        query_parameter(
            "kind", "Only acts of this kind; may be repeated.", schema=_TEXTS, example=["job.undo"]
        ),
        query_parameter("since", "Only acts from this time on.", example="2016-06-28T05:49:23Z"),
        query_parameter("until", "Only acts before this time.", example="2016-06-29T00:00:00Z"),
    ),
    answers={200: answer("A page of acts.", ActPage)},
)
CHECK_AUDIT: Final = _of_audit(
    summary="Whether the audit log is as it was written",
    description=(
        "Each row has the hash of itself and of the row before, so one that was changed or taken "
        "out is found; of the last rows only by who has kept an earlier `seal`."
    ),
    answers={200: answer("What was found.", AuditCheck)},
)
