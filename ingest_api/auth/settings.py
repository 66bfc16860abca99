"""The settings about who may use the API and how often a login may fail."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from ingest_api.auth.credentials import password_fault
from ingest_api.auth.login_rate_limit import LoginLimitSettings

if TYPE_CHECKING:
    from schemas.config.settings import EnvironmentReader

_LEAST_SECRET_CHARACTERS: Final = 16
_LOOPBACK: Final = ("localhost", "127.0.0.1", "::1")
_MOST_FAILURES: Final = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class IssuerSettings:
    """Whose JWTs are taken, and what their claims say."""

    issuer: str
    audience: str
    jwks_url: str
    role_claim: str
    name_claim: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthSettings:
    """See :func:`read_auth_settings`."""

    admin_password: str = field(repr=False)
    forwarded_secret: str = field(repr=False)
    login_limits: LoginLimitSettings
    issuer: IssuerSettings | None


def read_auth_settings(read: EnvironmentReader) -> AuthSettings:
    """The settings; what is wrong with them is left in ``read``.

    ====================================  =======  ==========================================
    ROLLCALL_ADMIN_PASSWORD               none     of the account ``admin``, made or changed
                                                   at the first start with this value
    ROLLCALL_LOGIN_FAILURES               10       wrong passwords of one name from one
                                                   address within the window; then 429
    ROLLCALL_LOGIN_FAILURES_PER_ADDRESS   100      the same over all names of an address
    ROLLCALL_LOGIN_FAILURES_WINDOW_S      300      the window; failures fade within it
    ROLLCALL_FORWARDED_SECRET             none     a proxy that sends it in the header
                                                   ``X-Forwarded-Secret`` is believed whom it
                                                   names last in ``X-Forwarded-For``
    ROLLCALL_JWT_ISSUER                   none     ``iss`` of the JWTs that are taken
    ROLLCALL_JWT_AUDIENCE                 none     what their ``aud`` must name
    ROLLCALL_JWT_JWKS_URL                 none     where the issuer shows its keys, https
                                                   unless on this machine
    ROLLCALL_JWT_ROLE_CLAIM               role     whose value (a text or a list) names the
                                                   role; ``a.b`` is ``b`` within ``a``
    ROLLCALL_JWT_NAME_CLAIM               sub      whose value is the name: ``jwt/<value>``
    ====================================  =======  ==========================================
    """
    return AuthSettings(
        admin_password=_admin_password(read),
        forwarded_secret=_forwarded_secret(read),
        login_limits=LoginLimitSettings(
            per_name=read.integer("ROLLCALL_LOGIN_FAILURES", 10, least=1, most=_MOST_FAILURES),
            per_address=read.integer(
                "ROLLCALL_LOGIN_FAILURES_PER_ADDRESS", 100, least=1, most=_MOST_FAILURES
            ),
            window_s=read.integer("ROLLCALL_LOGIN_FAILURES_WINDOW_S", 300, least=1, most=86_400),
        ),
        issuer=_issuer(read),
    )


def loggable_auth(settings: AuthSettings) -> dict[str, object]:
    """The settings as fields of a log line; secrets only by whether they are set."""
    issuer = settings.issuer
    return {
        "admin_password": "***" if settings.admin_password else None,
        "forwarded_secret": "***" if settings.forwarded_secret else None,
        "login_failures": settings.login_limits.per_name,
        "login_failures_per_address": settings.login_limits.per_address,
        "login_failures_window_s": settings.login_limits.window_s,
        "jwt_issuer": issuer and issuer.issuer,
        "jwt_audience": issuer and issuer.audience,
        "jwt_jwks_url": issuer and issuer.jwks_url,
        "jwt_role_claim": issuer and issuer.role_claim,
        "jwt_name_claim": issuer and issuer.name_claim,
    }


def _admin_password(read: EnvironmentReader) -> str:
    password = read.text("ROLLCALL_ADMIN_PASSWORD", "")
    if password and (fault := password_fault(password)):
        read.note(f"ROLLCALL_ADMIN_PASSWORD can't be used: {fault}")
    return password


def _forwarded_secret(read: EnvironmentReader) -> str:
    name = "ROLLCALL_FORWARDED_SECRET"
    secret = read.text(name, "")
    is_text = re.fullmatch(r"[!-~]*", secret) is not None
    if secret and not (is_text and len(secret) >= _LEAST_SECRET_CHARACTERS):
        read.note(
            f"{name} can't be used: it is at least {_LEAST_SECRET_CHARACTERS} ASCII characters"
            " without spaces."
        )
    return secret


def _issuer(read: EnvironmentReader) -> IssuerSettings | None:
    needed = ("ROLLCALL_JWT_ISSUER", "ROLLCALL_JWT_AUDIENCE", "ROLLCALL_JWT_JWKS_URL")
    claims = ("ROLLCALL_JWT_ROLE_CLAIM", "ROLLCALL_JWT_NAME_CLAIM")
    values = {name: read.text(name, "") for name in (*needed, *claims)}
    named = [name for name, value in values.items() if value]
    missing = [name for name in needed if not values[name]]
    if not named:
        return None
    for name in missing:
        read.note(f"{name} is not set, but {named[0]} is: JWTs need {', '.join(needed)}.")
    url = values["ROLLCALL_JWT_JWKS_URL"]
    if url and not _is_key_url(url):
        read.note(
            f"ROLLCALL_JWT_JWKS_URL is {_shown(url)!r}: an https URL without user and password;"
            " http only to this machine itself."
        )
    return IssuerSettings(
        issuer=values["ROLLCALL_JWT_ISSUER"],
        audience=values["ROLLCALL_JWT_AUDIENCE"],
        jwks_url=url,
        role_claim=values["ROLLCALL_JWT_ROLE_CLAIM"] or "role",
        name_claim=values["ROLLCALL_JWT_NAME_CLAIM"] or "sub",
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


def _shown(url: str) -> str:
    """The URL without what may be a password in it."""
    return re.sub(r"//[^/]*@", "//***@", url)
