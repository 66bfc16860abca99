"""The routes below ``/session``: sign in and out, and who is signed in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import structlog

from ingest_api.auth.credentials import (
    MOST_NAME_CHARACTERS,
    MOST_PASSWORD_CHARACTERS,
    PasswordLogin,
)
from ingest_api.auth.middleware import account_of, unauthorized
from ingest_api.auth.sessions.cookie import session_secret, set_cookie
from ingest_api.auth.sessions.operations import (
    SHOW_SESSION,
    SIGN_IN,
    SIGN_OUT,
    SignedIn,
    SignedOut,
    SignIn,
)
from ingest_api.auth.sessions.store import LASTS_S
from ingest_api.openapi.described import Answered, described
from ingest_api.web.client_address import client_address
from ingest_api.web.json_body import json_body
from ingest_api.web.request_context import context_of

if TYPE_CHECKING:
    from sanic import Blueprint, Request

    from ingest_api.auth.authenticator import Authenticator

SIGNED_OUT: Final = "Signed out"
_log = structlog.stdlib.get_logger("rollcall.api")


def add_session_routes(api: Blueprint, authenticator: Authenticator, forwarded_secret: str) -> None:
    """Add the routes."""

    @api.get("/session")
    @described(SHOW_SESSION)
    async def session(request: Request[Any, Any]) -> SignedIn:
        account = account_of(request)
        return SignedIn(account.name, account.role)

    @api.post("/session", stream=True, ctx_public=True)
    @described(SIGN_IN)
    async def sign_in(request: Request[Any, Any]) -> Answered:
        body = await json_body(request, SignIn)
        address = client_address(request, forwarded_secret)
        login = _login(body)
        begun = login and await authenticator.sign_in(login, address)
        if not begun:
            raise unauthorized(by_session=True)
        context_of(request).account = begun.account.name
        _log.info("signed in", account=begun.account.name)
        account = SignedIn(begun.account.name, begun.account.role)
        return Answered(account, set_cookie(request, begun.secret, LASTS_S))

    @api.route("/session/delete", methods=["POST"], ignore_body=True)
    @described(SIGN_OUT)
    async def sign_out(request: Request[Any, Any]) -> Answered:
        secret = session_secret(request)
        if secret is not None:
            await authenticator.sign_out(secret)
        return Answered(SignedOut(SIGNED_OUT), set_cookie(request, "", 0))

    _ = session, sign_in, sign_out


def _login(body: SignIn) -> PasswordLogin | None:
    """Return the login, None where no account can have such a name or password."""
    is_name = 0 < len(body.name) <= MOST_NAME_CHARACTERS
    if not is_name or len(body.password) > MOST_PASSWORD_CHARACTERS or "\0" in body.name:
        return None
    return PasswordLogin(body.name, body.password)
