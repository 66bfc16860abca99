"""`POST …/batchinfo/undo/{id}`, `…/redo/{id}` and `…/cancel/{id}`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qs

from ingest_api.auth.middleware import account_of
from ingest_api.errors import RETRY_AFTER_S, Detail, invalid_parameter, role_too_low
from ingest_api.jobs.job_parameter import job_named
from ingest_api.openapi.described import Answered, described
from ingest_api.undo.operations import (
    CANCEL,
    CANCEL_STARTED,
    REDO,
    REDO_STARTED,
    UNDO,
    UNDO_STARTED,
    UndoBody,
    UndoStarted,
)
from ingest_api.undo.preview import PreviewProgress, UndoPreview
from ingest_api.undo.undo import Requester
from ingest_api.web.idempotency_key import idempotency_key_of
from ingest_api.web.json_body import check_json, decoded, invalid_body, whole_body
from ingest_api.web.parameters import header, query_values
from ingest_api.web.request_context import note_act

if TYPE_CHECKING:
    from sanic import Blueprint, Request

    from ingest_api.event_log.job_events import JobLog
    from ingest_api.undo.own_undo import OwnUndo
    from ingest_api.undo.preview import UndoPreviews
    from ingest_api.undo.undo import Change, Undo

Changed = UndoStarted | UndoPreview | Answered
_FORM: Final = "application/x-www-form-urlencoded"
_TRUTHS: Final = {"true": True, "false": False}
_MESSAGES: Final[dict[Change, str]] = {"undo": UNDO_STARTED, "redo": REDO_STARTED}


def add_undo_routes(
    api: Blueprint, job_log: JobLog, undo: Undo, previews: UndoPreviews, *, own_undo: OwnUndo
) -> None:
    """Add the routes below ``/batchinfo/undo``, ``/batchinfo/redo`` and ``/batchinfo/cancel``."""

    async def change(request: Request[Any, Any], text: str, change: Change) -> Changed:
        account = account_of(request)
        requester = Requester(account.name, idempotency_key_of(request))
        is_dry_run = await _is_dry_run(request)
        job = await job_named(request, job_log, text)
        if is_dry_run:
            note_act(request, dryRun=True)
            await undo.check_preview(job, change)
            preview = await previews.preview(job, change, account.name, request.path)
            if isinstance(preview, PreviewProgress):
                return Answered(preview, {"Retry-After": str(RETRY_AFTER_S)})
            return preview
        await own_undo.check(account, job)
        await undo.change(job, change, requester)
        return UndoStarted(str(job.accepted.job_id), _MESSAGES[change])

    @api.route("/batchinfo/cancel/<job_id:str>", methods=["POST"], ignore_body=True)
    @described(CANCEL)
    async def cancel_job(request: Request[Any, Any], job_id: str) -> UndoStarted:
        account = account_of(request)
        job = await job_named(request, job_log, job_id)
        if account.name != job.accepted.accepted_by and not account.may("manager"):
            raise role_too_low("manager")
        await undo.change(job, "cancel", Requester(account.name, idempotency_key_of(request)))
        return UndoStarted(str(job.accepted.job_id), CANCEL_STARTED)

    @api.post("/batchinfo/undo/<job_id:str>", stream=True)
    @described(UNDO)
    async def undo_job(request: Request[Any, Any], job_id: str) -> Changed:
        return await change(request, job_id, "undo")

    @api.post("/batchinfo/redo/<job_id:str>", stream=True)
    @described(REDO)
    async def redo_job(request: Request[Any, Any], job_id: str) -> Changed:
        return await change(request, job_id, "redo")

    _ = undo_job, redo_job, cancel_job


async def _is_dry_run(request: Request[Any, Any]) -> bool:
    """Return whether a dry run is asked for, by the query, else by the body.

    A body that can't be parsed is refused: it may have asked for a dry run.

    Raises:
        InvalidRequestError: it can't be parsed.
        Refused: 413 or 415.
        TooSlowError: it doesn't come in time.
    """
    in_body = await _in_body(request)
    values = query_values(request).get("dryRun", [])
    if not values:
        return in_body
    if len(values) > 1 or values[0] not in _TRUTHS:
        raise invalid_parameter("dryRun", "dryRun is true or false, and given once.")
    return _TRUTHS[values[0]]


async def _in_body(request: Request[Any, Any]) -> bool:
    body = await whole_body(request)
    if not body:
        return False
    if (header(request, "content-type") or "").partition(";")[0].strip().lower() == _FORM:
        return _in_form(body)
    check_json(request)
    return decoded(body, UndoBody).dry_run


def _in_form(body: bytes) -> bool:
    try:
        fields = parse_qs(
            body.decode("ascii"), keep_blank_values=True, strict_parsing=True, max_num_fields=10
        )
    except ValueError:
        fields = {}
    values = fields.get("dryRun", [])
    if len(fields) != 1 or len(values) != 1 or values[0] not in _TRUTHS:
        message = "The form has one field, dryRun, which is true or false."
        raise invalid_body(Detail("VALUE_INVALID", message, column="dryRun"))
    return _TRUTHS[values[0]]
