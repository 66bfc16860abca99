"""The cookie of a session, and the header that tells our page's requests from other sites'."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from ingest_api.web.parameters import header, header_values

if TYPE_CHECKING:
    from sanic import Request

FROM_PAGE: Final = "Rollcall-Page"
"""No other site has a browser send it with the cookie: no preflight (CORS) allows credentials."""
_NAME: Final = "rollcall_session"
_COOKIE: Final = re.compile(rf"(?:^|;\s*){_NAME}=([0-9a-f]{{64}})(?=;|$)", re.ASCII)


def session_secret(request: Request[Any, Any]) -> str | None:
    """Return the secret that the request's cookie holds, None where there is none."""
    found = _COOKIE.search("; ".join(header_values(request, "cookie")))
    return found and found[1]


def set_cookie(request: Request[Any, Any], secret: str, age_s: int) -> dict[str, str]:
    """Return the header that has the browser keep the secret for so long; for 0 s, forget it.

    Over https, which the browser's own ``Origin`` tells behind any proxy, it is never sent without.
    """
    is_https = (header(request, "origin") or "").startswith("https://")
    parts = [f"{_NAME}={secret}", "Path=/", f"Max-Age={age_s}", "HttpOnly", "SameSite=Strict"]
    return {"Set-Cookie": "; ".join([*parts, *(["Secure"] if is_https else [])])}
