"""The routes below ``/admin/tokens``: API tokens, for administrators."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import structlog

from ingest_api.auth.account_routes import check_field
from ingest_api.auth.api_tokens import UNKNOWN_TOKEN
from ingest_api.auth.credentials import name_fault
from ingest_api.auth.middleware import account_of
from ingest_api.auth.operations import (
    ADD_TOKEN,
    DELETE_TOKEN,
    LIST_TOKENS,
    NewToken,
    TokenAdded,
    TokenDeleted,
    TokenPage,
    TokenShown,
)
from ingest_api.errors import NotFoundError
from ingest_api.openapi.described import described
from ingest_api.web.dates import date_text, optional_date_text
from ingest_api.web.json_body import json_body
from ingest_api.web.paging import page_of
from ingest_api.web.parameters import whole_number
from ingest_api.web.request_context import note_act
from ingest_api.web.roles import Account

if TYPE_CHECKING:
    from sanic import Blueprint, Request

    from ingest_api.auth.api_tokens import ApiTokens
    from ingest_api.auth.authenticator import Authenticator

_log = structlog.stdlib.get_logger("rollcall.api")


def add_token_routes(api: Blueprint, tokens: ApiTokens, authenticator: Authenticator) -> None:
    """Add the routes."""

    @api.get("/admin/tokens")
    @described(LIST_TOKENS)
    async def token_page(request: Request[Any, Any]) -> TokenPage:
        total, rows = await tokens.select_page(page_of(request))
        return TokenPage(total, [_shown(row) for row in rows])

    @api.post("/admin/tokens", stream=True)
    @described(ADD_TOKEN)
    async def add_token(request: Request[Any, Any]) -> TokenAdded:
        by = account_of(request)
        body = await json_body(request, NewToken)
        note_act(request, body.name, role=body.role, expiresInDays=body.expires_in_days)
        check_field("name", name_fault(body.name))
        made = await tokens.add(Account(body.name, body.role), by.name, body.expires_in_days)
        authenticator.invalidate()
        token_id = str(made.token_id)
        _log.info("token added", by=by.name, token_id=token_id, token=body.name, role=body.role)
        return TokenAdded(token_id, made.text, "Token added successfully")

    @api.route("/admin/tokens/<token_id:str>/delete", methods=["POST"], ignore_body=True)
    @described(DELETE_TOKEN)
    async def delete_token(request: Request[Any, Any], token_id: str) -> TokenDeleted:
        by = account_of(request)
        number = whole_number(token_id)
        if number is None:
            raise NotFoundError(UNKNOWN_TOKEN)
        name = await tokens.delete(number)
        note_act(request, name)
        authenticator.invalidate()
        _log.info("token deleted", by=by.name, token_id=str(number), token=name)
        return TokenDeleted(str(number), "Token deleted successfully")

    _ = token_page, add_token, delete_token


def _shown(row: dict[str, Any]) -> TokenShown:
    return TokenShown(
        id=str(row["id"]),
        name=row["name"],
        role=row["role"],
        created_by=row["created_by"],
        created_date=date_text(row["created_at"]),
        expires_date=optional_date_text(row["expires_at"]),
        last_used_date=optional_date_text(row["last_used_at"]),
    )
