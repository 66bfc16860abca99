"""The middleware that authenticates every request before its route is called.

A route is public only where it says so, so an unknown path needs credentials too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from ingest_api.auth.credentials import is_bearer
from ingest_api.auth.sessions.cookie import FROM_PAGE, session_secret
from ingest_api.errors import role_too_low
from ingest_api.web.client_address import client_address
from ingest_api.web.parameters import header, header_values
from ingest_api.web.refused import UNAUTHORIZED, Refused
from ingest_api.web.request_context import context_of

if TYPE_CHECKING:
    from sanic import Request

    from ingest_api.auth.authenticator import Authenticator
    from ingest_api.web.roles import Account, Role

_BASIC: Final = 'Basic realm="Rollcall", charset="UTF-8"'
_BEARER: Final = 'Bearer realm="Rollcall", error="invalid_token"'
"""RFC 6750; only whoever has tried a token is asked for a better one."""
_SESSION: Final = 'Session realm="Rollcall"'
"""No browser knows it, so none asks for a password in a dialog of its own before our page does."""
_NOT_FROM_PAGE: Final = f"With a session's cookie, a change needs the header {FROM_PAGE}"


def is_public(request: Request[Any, Any]) -> bool:
    """Return whether the request's route needs no credentials."""
    return request.route is not None and getattr(request.route.ctx, "public", False) is True


async def authenticate(
    request: Request[Any, Any], authenticator: Authenticator, forwarded_secret: str
) -> None:
    """Authenticate the request and attach its account; the body is not read.

    Raises:
        Refused: 401, without valid credentials; 400, a change by a cookie that another site may
            have had the browser send.
        RoleTooLowError: a valid JWT names no role.
        LimitReachedError: there were too many wrong ones.
        UnavailableError: they can't be checked.
    """
    authorization = header(request, "authorization")
    address = client_address(request, forwarded_secret)
    is_from_page = header(request, FROM_PAGE) is not None
    secret = None if header_values(request, "authorization") else session_secret(request)
    if secret is not None:
        if request.method != "GET" and not is_from_page:
            raise Refused(400, _NOT_FROM_PAGE)
        account = await authenticator.session_account(secret, address)
    else:
        account = await authenticator.account(authorization, address)
    if account is None:
        raise unauthorized(authorization, by_session=is_from_page or secret is not None)
    request.ctx.account = account
    context_of(request).account = account.name


def unauthorized(authorization: str | None = None, *, by_session: bool) -> Refused:
    """Return the answer 401, which asks for credentials of the kind that were tried."""
    challenge = _BEARER if is_bearer(authorization) else _BASIC
    return Refused(
        401, UNAUTHORIZED, headers={"WWW-Authenticate": _SESSION if by_session else challenge}
    )


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
