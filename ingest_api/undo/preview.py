"""Request the preview of an undo or redo from the builder, and wait for it.

A preview is a row of the instance registry: the builder makes an
audience without the job (or with it) beside the one in use, compares the two,
and leaves the difference in the row.
That takes as long as reading the log does, so a request may be answered with the
progress; the same request then finds the preview that is under way.
"""

from __future__ import annotations

import asyncio
import time
from datetime import date
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

import msgspec
from msgspec import Meta

from ingest_api.errors import ConflictError, UnavailableError
from ingest_api.openapi.response_types import Count, Id
from ingest_api.openapi.user_answers import shown_fields

if TYPE_CHECKING:
    from ingest_api.event_log.ledger import LedgerJob
    from ingest_api.postgres.pool import Database
    from ingest_api.undo.undo import Change
    from ingest_api.web.dates import Row

NOTHING_CHANGED: Final = "Dry run: nothing was changed."
NOT_READY: Final = "The preview is being made: ask again, with the same request"
_WAIT_S: Final = 25.0
_POLL_S: Final = 0.3
_NO_TABLES: Final = (
    "There is no audience to compare with, because no processor has made its tables yet:"
    " nothing was changed, try again once one runs"
)
_FAILED: Final = "The preview failed, and nothing was changed: {failure}"
_GONE: Final = "The preview was taken out of the registry, try again"
_Key = Annotated[str, Meta(description="The user's reconciliation key.")]


class _Preview(msgspec.Struct, frozen=True, rename="camel"):
    """Base of all: names in camel case."""


class UserSample(_Preview, frozen=True):
    """A user with the values that it has, or would have."""

    key: _Key
    user: dict[str, Any]


class ChangedBack(_Preview, frozen=True):
    """A user as it is and as it would be: the fields that differ, where they have a value."""

    key: _Key
    before: dict[str, Any]
    after: dict[str, Any]


class Kept(_Preview, frozen=True):
    """A user whom the job had set, and who stays because of what came later."""

    key: _Key
    changed_by: Annotated[
        Id | None,
        Meta(description="The later job; null where it was another producer or a single write."),
    ]


class PreviewSamples(_Preview, frozen=True):
    """At most twenty of each kind, by key."""

    restored: list[UserSample]
    removed: list[UserSample]
    changed_back: list[ChangedBack]
    kept: list[Kept]


class JobCounts(_Preview, frozen=True):
    """Outcomes of a job's lines, and how many users it removed."""

    inserted: Count
    updated: Count
    unchanged: Count
    rejected: Count
    deleted: (
        Annotated[Count, Meta(description="Left out where it is 0 before and after.")]
        | msgspec.UnsetType
    ) = msgspec.UNSET


class LaterJob(_Preview, frozen=True):
    """A later job whose lines would have other outcomes."""

    id: Id
    before: JobCounts
    after: JobCounts


class UndoPreview(_Preview, frozen=True):
    """What the change would do to the audience as it was when this was computed."""

    dry_run: Literal[True]
    message: str
    id: Annotated[Id, Meta(description="Of the job.")]
    restored: Annotated[Count, Meta(description="Users who would be there again.")]
    removed: Annotated[Count, Meta(description="Users who would be gone.")]
    changed_back: Annotated[Count, Meta(description="Users who would have other values.")]
    kept: Annotated[
        Count,
        Meta(description="Users of the job who would stay as they are, set by what is later."),
    ]
    users_before: Count
    users_after: Count
    samples: PreviewSamples
    later_jobs: list[LaterJob]


class PreviewProgress(_Preview, frozen=True):
    """A preview that is not ready yet."""

    dry_run: Literal[True]
    message: str
    id: Annotated[Id, Meta(description="Of the job.")]
    projection: Annotated[int, Meta(description="The number of the projection being built.")]
    state: Literal["requested", "building"]
    step: Annotated[str | None, Meta(description="What is being done.")]
    records_done: Annotated[Count, Meta(description="Records of the log read so far.")]
    records_total: Annotated[Count, Meta(description="Of how many; 0 while it is not known.")]
    ask_again: Annotated[str, Meta(description="Path of the same request.")]


class UndoPreviews:
    """Requests previews, and waits a while for each."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._is_closing = asyncio.Event()

    def close(self) -> None:
        """End every wait."""
        self._is_closing.set()

    async def preview(
        self, job: LedgerJob, change: Change, account: str, path: str
    ) -> UndoPreview | PreviewProgress:
        """Return the preview, or after half a minute its progress.

        A preview that is under way, or was ready less than a minute ago, is not made again.

        Raises:
            UnavailableError: there are no tables yet.
            ConflictError: the preview failed.
        """
        job_id = job.accepted.job_id
        number = await self._request(job_id, change, account)
        until_s = time.monotonic() + _WAIT_S
        while True:
            row = await self._fetch(number)
            if row["failure"] is not None:
                raise ConflictError(_FAILED.format(failure=row["failure"]))
            if row["result"] is not None:
                return _preview(job_id, row["result"])
            if self._is_closing.is_set() or time.monotonic() > until_s:
                return _progress(job_id, row, path)
            await self._pause()

    async def _pause(self) -> None:
        try:
            async with asyncio.timeout(_POLL_S):
                await self._is_closing.wait()
        except TimeoutError:
            return

    _LOCK: Final = "SELECT pg_advisory_xact_lock(hashtextextended('rollcall:previews', 0))"
    _HAS_REGISTRY: Final = """
    SELECT to_regclass('public.projection_instance') IS NOT NULL AS is_there
    """
    # The result of one that was ready is kept when its tables are dropped.
    _REQUEST: Final = """
    WITH known AS (
        SELECT number FROM public.projection_instance
        WHERE purpose = 'preview'
          AND preview_revert IS NOT DISTINCT FROM %(revert)s::bigint
          AND preview_restore IS NOT DISTINCT FROM %(restore)s::bigint
          AND (state IN ('requested', 'building')
               OR (result IS NOT NULL AND failure IS NULL
                   AND ready_at > now() - interval '1 minute'))
        ORDER BY number DESC LIMIT 1
    ), made AS (
        INSERT INTO public.projection_instance
            (purpose, preview_revert, preview_restore, requested_by)
        SELECT 'preview', %(revert)s, %(restore)s, %(account)s
        WHERE NOT EXISTS (SELECT FROM known)
        RETURNING number
    )
    SELECT number FROM known UNION ALL SELECT number FROM made
    """

    async def _request(self, job_id: int, change: Change, account: str) -> int:
        parameters = {
            "revert": job_id if change == "undo" else None,
            "restore": job_id if change == "redo" else None,
            "account": account,
        }
        async with self._database.transaction() as connection:
            row = await (await connection.execute(self._HAS_REGISTRY)).fetchone()
            if row is None or not row["is_there"]:
                raise UnavailableError(_NO_TABLES)
            # Else two requests at one instant would start two builds of the same preview.
            await connection.execute(self._LOCK)
            row = await (await connection.execute(self._REQUEST, parameters)).fetchone()
        assert row is not None, "one of the two has a row"
        return row["number"]

    _SELECT: Final = """
    SELECT number, state, step, records_done, records_total, failure, result
    FROM public.projection_instance
    WHERE number = %s
    """

    async def _fetch(self, number: int) -> Row:
        rows = await self._database.select(self._SELECT, (number,))
        if not rows:
            raise UnavailableError(_GONE)
        return rows[0]


def _preview(job_id: int, result: Row) -> UndoPreview:
    samples = result["samples"]
    return UndoPreview(
        dry_run=True,
        message=NOTHING_CHANGED,
        id=str(job_id),
        restored=result["restored"],
        removed=result["removed"],
        changed_back=result["changedBack"],
        kept=result["kept"],
        users_before=result["usersBefore"],
        users_after=result["usersAfter"],
        samples=PreviewSamples(
            restored=[
                UserSample(row["key"], _user_view(row["after"])) for row in samples["restored"]
            ],
            removed=[
                UserSample(row["key"], _user_view(row["before"])) for row in samples["removed"]
            ],
            changed_back=[_changed_back(row) for row in samples["changedBack"]],
            kept=[Kept(row["key"], row["changedBy"]) for row in samples["kept"]],
        ),
        later_jobs=msgspec.convert(result["laterJobs"], list[LaterJob]),
    )


def _changed_back(row: Row) -> ChangedBack:
    return ChangedBack(row["key"], _user_view(row["before"]), _user_view(row["after"]))


def _user_view(values: Row | None) -> Row:
    """Return the table's values by their names in JSON."""
    values = dict(values or {})
    if "last_active_date" in values:
        values["last_active_date"] = date.fromisoformat(values["last_active_date"])
    attributes = {"attributes": values["attributes"]} if "attributes" in values else {}
    return shown_fields(values) | attributes


def _progress(job_id: int, row: Row, path: str) -> PreviewProgress:
    return PreviewProgress(
        dry_run=True,
        message=NOT_READY,
        id=str(job_id),
        projection=row["number"],
        state="requested" if row["state"] == "requested" else "building",
        step=row["step"],
        records_done=row["records_done"],
        records_total=row["records_total"],
        ask_again=f"{path}?dryRun=true",
    )
