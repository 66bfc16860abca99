"""The routes below ``/admin/tokens``: API tokens, for administrators."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Final

import msgspec
import structlog

from ingest_api.auth.account_routes import check_name, refusals
from ingest_api.auth.api_tokens import NAME_TAKEN, UNKNOWN_TOKEN
from ingest_api.auth.middleware import account_of
from ingest_api.errors import NotFoundError
from ingest_api.openapi.described import described
from ingest_api.openapi.operation import JSON, Answer, Operation, Parameter, page_parameters
from ingest_api.web.dates import date_text
from ingest_api.web.json_body import INVALID_BODY, JsonBody, json_body
from ingest_api.web.paging import page_of
from ingest_api.web.parameters import whole_number
from ingest_api.web.roles import Account, Role

if TYPE_CHECKING:
    from datetime import datetime

    from sanic import Blueprint, Request

    from ingest_api.auth.api_tokens import ApiTokens
    from ingest_api.auth.authenticator import Authenticator

_MOST_DAYS: Final = 3650
_log = structlog.stdlib.get_logger("rollcall.api")


class TokenShown(msgspec.Struct, frozen=True, rename="camel"):
    """A token as administrators see it: without its secret."""

    id: str
    name: str
    role: Role
    created_by: str
    created_date: str
    expires_date: str | None
    last_used_date: str | None


class TokenPage(msgspec.Struct, frozen=True):
    """A page of all tokens, the oldest first."""

    total: int
    tokens: list[TokenShown]


class NewToken(JsonBody, frozen=True, kw_only=True):
    """A token to be made; without ``expiresInDays`` it counts until it is deleted."""

    name: str
    role: Role
    expires_in_days: Annotated[int, msgspec.Meta(ge=1, le=_MOST_DAYS)] | None = None


class TokenAdded(msgspec.Struct, frozen=True):
    """The token, shown this once."""

    id: str
    token: str
    message: str


class TokenDeleted(msgspec.Struct, frozen=True):
    """What was done."""

    id: str
    message: str


def add_token_routes(api: Blueprint, tokens: ApiTokens, authenticator: Authenticator) -> None:
    """Add the routes."""

    @api.get("/admin/tokens")
    @described(
        Operation(
            summary="List API tokens",
            tag="Tokens",
            role="admin",
            description="When a token was last used is noted once a minute at most.",
            parameters=page_parameters(),
            answers={
                200: Answer(
                    description="A page of all tokens, the oldest first; never their secrets",
                    bodies={JSON: TokenPage},
                )
            },
        )
    )
    async def token_page(request: Request[Any, Any]) -> TokenPage:
        account_of(request, "admin")
        total, rows = await tokens.select_page(page_of(request))
        return TokenPage(total, [_shown(row) for row in rows])

    @api.post("/admin/tokens", stream=True)
    @described(
        Operation(
            summary="Make an API token",
            tag="Tokens",
            role="admin",
            description="The token is shown this once. It is sent as `Authorization: Bearer` and"
            " acts under the name `token/<name>`.",
            body={JSON: NewToken},
            answers={
                200: Answer(description="It was made", bodies={JSON: TokenAdded}),
                **refusals(_400=INVALID_BODY, _409=NAME_TAKEN),
            },
        )
    )
    async def add_token(request: Request[Any, Any]) -> TokenAdded:
        by = account_of(request, "admin")
        body = await json_body(request, NewToken)
        check_name(body.name)
        made = await tokens.add(Account(body.name, body.role), by.name, body.expires_in_days)
        authenticator.invalidate()
        token_id = str(made.token_id)
        _log.info("token added", by=by.name, token_id=token_id, token=body.name, role=body.role)
        return TokenAdded(token_id, made.text, "Token added successfully")

    @api.route("/admin/tokens/<token_id:str>/delete", methods=["POST"], ignore_body=True)
    @described(
        Operation(
            summary="Delete an API token",
            tag="Tokens",
            role="admin",
            description="It ends at once here, and within two seconds on every other instance.",
            parameters=(
                Parameter(
                    name="token_id",
                    place="path",
                    description="The token's id.",
                    schema={"type": "string"},
                    is_required=True,
                    example="1",
                ),
            ),
            answers={
                200: Answer(description="It was deleted", bodies={JSON: TokenDeleted}),
                **refusals(_404=UNKNOWN_TOKEN),
            },
        )
    )
    async def delete_token(request: Request[Any, Any], token_id: str) -> TokenDeleted:
        by = account_of(request, "admin")
        number = whole_number(token_id)
        if number is None:
            raise NotFoundError(UNKNOWN_TOKEN)
        name = await tokens.delete(number)
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
        expires_date=_optional_date(row["expires_at"]),
        last_used_date=_optional_date(row["last_used_at"]),
    )


def _optional_date(at: datetime | None) -> str | None:
    return None if at is None else date_text(at)
