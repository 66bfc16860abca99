"""The OpenAPI operations of projection instances, and their answers."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

import msgspec
from msgspec import Meta

from ingest_api.openapi.operation import (
    JSON,
    Answer,
    Operation,
    Parameter,
    either,
    page_parameters,
    refused,
)
from ingest_api.openapi.response_types import ContractDate, Count
from ingest_api.projections.registry import point_of
from ingest_api.web.dates import date_text, optional_date_text
from ingest_api.web.json_body import JsonBody
from schemas.log.truncation import truncated

if TYPE_CHECKING:
    Row = dict[str, Any]

UNKNOWN_PROJECTION: Final = "There is no projection with this number"
Purpose = Literal["live", "rebuild", "verify", "upgrade", "undo", "preview", "as_of"]
State = Literal["requested", "building", "ready", "active", "retired", "failed", "dropped"]


class ProjectionRequest(JsonBody, frozen=True, kw_only=True):
    """What is to be built from the log beside the live tables."""

    purpose: Annotated[
        Literal["rebuild", "verify"],
        Meta(
            description="`rebuild` puts the new tables in the place of the live ones; "
            "`verify` compares them with those and drops them."
        ),
    ]
    mend: Annotated[
        bool,
        Meta(
            description="Of a rebuild: whether the new tables take the place of the live ones "
            "also where they differ."
        ),
    ] = False


class Projection(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One set of tables, made from the log, and how far it is."""

    number: Annotated[int, Meta(ge=1, description="Its tables are in schema `projection_<n>`.")]
    purpose: Purpose
    state: State
    step: Annotated[str | None, Meta(description="What is being done, while it is built.")]
    mend: bool
    as_of: Annotated[
        str | None, Meta(description="The time, or the id of the job, that it is as of.")
    ]
    records_done: Count
    records_total: Count
    records_per_second: Annotated[float, Meta(ge=0)] | None
    estimated_finish_date: Annotated[
        ContractDate | None, Meta(description="Of the replay; the comparison comes after it.")
    ]
    requested_by: str
    requested_date: ContractDate
    started_date: ContractDate | None
    ready_date: ContractDate | None
    activated_date: ContractDate | None
    retired_date: ContractDate | None
    failure: str | None
    failed_date: Annotated[
        ContractDate | None, Meta(description="Where it is tried again by itself: when it failed.")
    ]
    next_try_date: Annotated[
        ContractDate | None,
        Meta(
            description="Where it is to be tried again by itself, as another projection: from when"
            " on; null once that time has come."
        ),
    ]
    result: Annotated[
        dict[str, Any] | None,
        Meta(
            description="What came of it. Of rebuild and verify, once both were compared at the "
            "same `offsets`: each of the `tables` with how many rows it has live and built anew, "
            "whether they are equal, and of those that differ some with what does."
        ),
    ]


class ProjectionPage(msgspec.Struct, frozen=True):
    """A page of all projections, the newest first."""

    total: Count
    projections: list[Projection]


def projection_of(row: Row) -> Projection:
    """Return the answer for a row of the registry."""
    rate = _records_per_s(row)
    point = point_of(row)
    return Projection(
        number=row["number"],
        purpose=row["purpose"],
        state=row["state"],
        step=row["step"],
        mend=row["mends"],
        as_of=None if point is None else str(point),
        records_done=row["records_done"],
        records_total=row["records_total"],
        records_per_second=None if rate is None else round(rate, 1),
        estimated_finish_date=_estimated_finish(row, rate),
        requested_by=row["requested_by"],
        requested_date=date_text(row["requested_at"]),
        started_date=optional_date_text(row["started_at"]),
        ready_date=optional_date_text(row["ready_at"]),
        activated_date=optional_date_text(row["activated_at"]),
        retired_date=optional_date_text(row["retired_at"]),
        failure=row["failure"],
        failed_date=optional_date_text(_retry_at(row, "failedAt")),
        next_try_date=_next_try_date(row),
        result=_found_out(row),
    )


def _found_out(row: Row) -> Row | None:
    """Return the result without what the builder has noted for itself."""
    result: Row = row["result"] or {}
    return {name: each for name, each in result.items() if name != "retry"} or None


def _next_try_date(row: Row) -> str | None:
    at = _retry_at(row, "nextTryAt")
    return None if at is None or at < row["at"] else date_text(at)


def _retry_at(row: Row, name: str) -> datetime | None:
    """Return when the builder tries the instance again, as it has noted."""
    result: Row = row["result"] or {}
    retry: dict[str, str] | None = result.get("retry")
    return None if retry is None else datetime.fromisoformat(retry[name])


def _records_per_s(row: Row) -> float | None:
    """Return the speed at which it is built, or was."""
    now = row["at"] if row["state"] == "building" else None
    end = row["ready_at"] or row["activated_at"] or now
    if row["started_at"] is None or end is None:
        return None
    elapsed_s = (end - row["started_at"]).total_seconds()
    return row["records_done"] / elapsed_s if elapsed_s > 0 else None


def _estimated_finish(row: Row, rate: float | None) -> str | None:
    left = row["records_total"] - row["records_done"]
    if row["state"] != "building" or not rate or left <= 0:
        return None
    seconds = left / rate
    # The first look at a long log may promise more years than a date has.
    return date_text(row["at"] + timedelta(seconds=seconds)) if seconds < _LONGEST_S else None


_LONGEST_S: Final = 366 * 24 * 3600

REQUEST_PROJECTION: Final = Operation(
    summary="Build the tables anew from the log",
    description=(
        "Beside the live ones, which go on; then both are compared at equal offsets. "
        "Where they are equal, or `mend` says so, a rebuild takes the place of the live tables in "
        "one transaction. The processor's builder does it; ask for the projection to see how far "
        "it is."
    ),
    tag="Projections",
    role="admin",
    body={JSON: ProjectionRequest},
    answers={
        202: Answer(description="It will be built.", bodies={JSON: Projection}),
        409: either(
            refused(
                "One that may take the place of the live tables is at work already.",
                {"message": "Projection 7 (rebuild) is at work, being built: 43 %"},
            ),
            refused(
                "The log's first records are gone, so no tables can be made from it.",
                {"message": truncated("user-events", 0, 4711)},
            ),
        ),
    },
)
LIST_PROJECTIONS: Final = Operation(
    summary="List projections",
    description="Those that are live, those that are being built, and what there was before.",
    tag="Projections",
    role="admin",
    parameters=page_parameters(),
    answers={
        200: Answer(
            description="A page of all projections, the newest first.",
            bodies={JSON: ProjectionPage},
        )
    },
)
SHOW_PROJECTION: Final = Operation(
    summary="Show a projection",
    tag="Projections",
    role="admin",
    parameters=(
        Parameter(
            name="number",
            place="path",
            description="The projection's number.",
            schema={"type": "string", "pattern": "^[0-9]{1,9}$"},
            example="7",
        ),
    ),
    answers={
        200: Answer(description="The projection.", bodies={JSON: Projection}),
        404: refused("There is no such projection.", {"message": UNKNOWN_PROJECTION}),
    },
)
