"""The middleware that authenticates every request before its route is called.

A route is public only where it says so, so an unknown path needs credentials too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from ingest_api.auth.credentials import is_bearer
from ingest_api.errors import role_too_low
from ingest_api.web.client_address import client_address
from ingest_api.web.parameters import header
from ingest_api.web.refused import UNAUTHORIZED, Refused
from ingest_api.web.request_context import context_of

if TYPE_CHECKING:
    from sanic import Request

    from ingest_api.auth.authenticator import Authenticator
    from ingest_api.web.roles import Account, Role

_BASIC: Final = 'Basic realm="Rollcall", charset="UTF-8"'
_BEARER: Final = 'Bearer realm="Rollcall", error="invalid_token"'
"""RFC 6750; only whoever has tried a token is asked for a better one."""


def is_public(request: Request[Any, Any]) -> bool:
    """Return whether the request's route needs no credentials."""
    return request.route is not None and getattr(request.route.ctx, "public", False) is True


async def authenticate(
    request: Request[Any, Any], authenticator: Authenticator, forwarded_secret: str
) -> None:
    """Authenticate the request and attach its account; the body is not read.

    Raises:
        Refused: 401, without valid credentials.
        RoleTooLowError: a valid JWT names no role.
        LimitReachedError: there were too many wrong ones.
        UnavailableError: they can't be checked.
    """
    authorization = header(request, "authorization")
    address = client_address(request, forwarded_secret)
    account = await authenticator.account(authorization, address)
    if account is None:
        challenge = _BEARER if is_bearer(authorization) else _BASIC
        raise Refused(401, UNAUTHORIZED, headers={"WWW-Authenticate": challenge})
    request.ctx.account = account
    context_of(request).account = account.name


def account_of(request: Request[Any, Any]) -> Account:
    """Return the request's account; it has the role of the operation, or a higher one."""
    account: Account = request.ctx.account
    return account


def check_role(request: Request[Any, Any], role: Role) -> None:
    """Refuse an account whose role is too low.

    Raises:
        RoleTooLowError: it is.
    """
    if not account_of(request).may(role):
        raise role_too_low(role)
