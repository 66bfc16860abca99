"""The OpenAPI operations of projection instances, and their answers."""

from __future__ import annotations

from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

import msgspec
from msgspec import Meta

from ingest_api.openapi.operation import (
    JSON,
    Operation,
    answer,
    either,
    page_parameters,
    path_parameter,
    refused,
)
from ingest_api.openapi.response_types import Count, Date
from ingest_api.projections.registry import Purpose, State
from ingest_api.web.dates import date_text, estimated_end, optional_date_text
from ingest_api.web.json_body import JsonBody
from schemas.log.truncation import truncated

if TYPE_CHECKING:
    from ingest_api.projections.registry import Instance

    Row = dict[str, Any]

UNKNOWN_PROJECTION: Final = "There is no projection with this number"


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
        Date | None, Meta(description="Of the replay; the comparison comes after it.")
    ]
    requested_by: str
    requested_date: Date
    started_date: Date | None
    ready_date: Date | None
    activated_date: Date | None
    retired_date: Date | None
    failure: str | None
    failed_date: Annotated[
        Date | None, Meta(description="Where it is tried again by itself: when it failed.")
    ]
    next_try_date: Annotated[
        Date | None,
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


def projection_of(instance: Instance) -> Projection:
    """Return the answer for an instance of the registry."""
    rate = _records_per_s(instance)
    point = instance.point
    return Projection(
        number=instance.number,
        purpose=instance.purpose,
        state=instance.state,
        step=instance.step,
        mend=instance.mends,
        as_of=None if point is None else str(point),
        records_done=instance.records_done,
        records_total=instance.records_total,
        records_per_second=None if rate is None else round(rate, 1),
        estimated_finish_date=_estimated_finish(instance, rate),
        requested_by=instance.requested_by,
        requested_date=date_text(instance.requested_at),
        started_date=optional_date_text(instance.started_at),
        ready_date=optional_date_text(instance.ready_at),
        activated_date=optional_date_text(instance.activated_at),
        retired_date=optional_date_text(instance.retired_at),
        failure=instance.failure,
        failed_date=optional_date_text(_retry_at(instance, "failedAt")),
        next_try_date=_next_try_date(instance),
        result=_found_out(instance),
    )


def _found_out(instance: Instance) -> Row | None:
    """Return the result without what the builder has noted for itself."""
    result: Row = instance.result or {}
    return {name: each for name, each in result.items() if name != "retry"} or None


def _next_try_date(instance: Instance) -> str | None:
    at = _retry_at(instance, "nextTryAt")
    return None if at is None or at < instance.at else date_text(at)


def _retry_at(instance: Instance, name: str) -> datetime | None:
    """Return when the builder tries the instance again, as it has noted."""
    result: Row = instance.result or {}
    retry: dict[str, str] | None = result.get("retry")
    return None if retry is None else datetime.fromisoformat(retry[name])


def _records_per_s(instance: Instance) -> float | None:
    """Return the speed at which it is built, or was."""
    now = instance.at if instance.state == "building" else None
    end = instance.ready_at or instance.activated_at or now
    if instance.started_at is None or end is None:
        return None
    elapsed_s = (end - instance.started_at).total_seconds()
    return instance.records_done / elapsed_s if elapsed_s > 0 else None


def _estimated_finish(instance: Instance, rate: float | None) -> str | None:
    left = instance.records_total - instance.records_done
    if instance.state != "building" or not rate or left <= 0:
        return None
    return optional_date_text(estimated_end(instance.at, left, rate))


LOG_TRUNCATED: Final = refused(
    "The log's first records are gone, so no tables can be made from it.",
    truncated("user-events", 0, 4711),
)
_for_admins: Final = partial(Operation, tag="Projections", role="admin")
REQUEST_PROJECTION: Final = _for_admins(
    summary="Build the tables anew from the log",
    act="projection.request",
    description=(
        "Beside the live ones, which go on; then both are compared at equal offsets. "
        "Where they are equal, or `mend` says so, a rebuild takes the place of the live tables in "
        "one transaction. The processor's builder does it; ask for the projection to see how far "
        "it is."
    ),
    body={JSON: ProjectionRequest},
    answers={
        202: answer("It will be built.", Projection),
        409: either(
            refused(
                "One that may take the place of the live tables is at work already.",
                "Projection 7 (rebuild) is at work, being built: 43 %",
            ),
            LOG_TRUNCATED,
        ),
    },
)
LIST_PROJECTIONS: Final = _for_admins(
    summary="List projections",
    description="Those that are live, those that are being built, and what there was before.",
    parameters=page_parameters(),
    answers={200: answer("A page of all projections, the newest first.", ProjectionPage)},
)
SHOW_PROJECTION: Final = _for_admins(
    summary="Show a projection",
    parameters=(
        path_parameter("number", "The projection's number.", example="7", pattern="^[0-9]{1,9}$"),
    ),
    answers={
        200: answer("The projection.", Projection),
        404: refused("There is no such projection.", UNKNOWN_PROJECTION),
    },
)
