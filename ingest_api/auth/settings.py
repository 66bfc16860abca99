"""The settings about who may use the API and how often a login may fail."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, Final
from urllib.parse import urlsplit

from ingest_api.auth.credentials import password_fault
from ingest_api.auth.login_rate_limit import LoginLimitSettings
from schemas.config.declared import Section, named, secret, text, variables

if TYPE_CHECKING:
    from collections.abc import Iterator

_LEAST_SECRET_CHARACTERS: Final = 16
_LOOPBACK: Final = ("localhost", "127.0.0.1", "::1")


def _admin_password_fault(password: str) -> str | None:
    fault = password_fault(password)
    return fault and f"can't be used: {fault}"


def _forwarded_secret_fault(value: str) -> str | None:
    if len(value) >= _LEAST_SECRET_CHARACTERS and re.fullmatch(r"[!-~]*", value):
        return None
    return (
        f"can't be used: it is at least {_LEAST_SECRET_CHARACTERS} ASCII characters without spaces."
    )


def _key_url_fault(url: str) -> str | None:
    if _is_key_url(url):
        return None
    # Without what may be a password in it.
    shown = re.sub(r"//[^/]*@", "//***@", url)
    return (
        f"is {shown!r}: an https URL without user and password; http only to this machine itself."
    )


def _is_key_url(text: str) -> bool:
    """Whoever can answer for the URL can make any JWT, so plain http must not leave the machine."""
    try:
        url = urlsplit(text)
        _ = url.port
    except ValueError:
        return False
    is_safe = url.scheme == "https" or (url.scheme == "http" and url.hostname in _LOOPBACK)
    return is_safe and bool(url.hostname) and "@" not in url.netloc


AdminPassword = Annotated[
    str,
    secret(
        "password of the account `admin`, which is made at the start where there is no account;"
        " `up` generates one where none is given",
        fault=_admin_password_fault,
    ),
]


class IssuerSettings(Section, frozen=True, kw_only=True, rename=named("ROLLCALL_JWT_")):
    """Whose JWTs are taken, and what their claims say."""

    issuer: Annotated[str, text("`iss` of the JWTs that are taken")] = ""
    audience: Annotated[str, text("what their `aud` must name")] = ""
    jwks_url: Annotated[
        str,
        text("where the issuer shows its keys, https unless on this machine", fault=_key_url_fault),
    ] = ""
    role_claim: Annotated[
        str, text("whose value (a text or a list) names the role; `a.b` is `b` within `a`")
    ] = "role"
    name_claim: Annotated[str, text("whose value is the name of who calls: `jwt/<value>`")] = "sub"

    def faults(self) -> Iterator[str]:
        """The three that have no default are set together or not at all."""
        if not self.is_given():
            return
        needed = [each.name for each in variables(IssuerSettings) if not each.default]
        values = dict(zip(needed, (self.issuer, self.audience, self.jwks_url), strict=True))
        for name in needed:
            if not values[name]:
                yield f"{name} is not set, but others are: JWTs need {', '.join(needed)}."


class AuthSettings(Section, frozen=True, kw_only=True):
    """Who may use the API, and how often a login may fail."""

    admin_password: AdminPassword = ""
    forwarded_secret: Annotated[
        str,
        secret(
            "a proxy that sends it as `X-Forwarded-Secret` is believed whom it names last in"
            " `X-Forwarded-For`",
            fault=_forwarded_secret_fault,
        ),
    ] = ""
    login_limits: LoginLimitSettings
    issuer: IssuerSettings | None = None
