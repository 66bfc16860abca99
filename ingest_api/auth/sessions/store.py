"""Sessions in Postgres: of a secret only the SHA-256 is kept, as of an API token's.

A session ends when it expires, when somebody signs out, and when its account's password
changes or the account goes; its role is always the account's.
"""

from __future__ import annotations

import hashlib
import secrets
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from ingest_api.auth.accounts import LOGIN_TIMEOUT_S
from ingest_api.auth.credential_cache import AuthResult
from ingest_api.web.roles import Account

if TYPE_CHECKING:
    from ingest_api.auth.credentials import SessionSecret
    from ingest_api.postgres.pool import Database

LASTS_S: Final = 12 * 3600
"""A working day; whoever has the page open then signs in again."""
_SECRET_BYTES: Final = 32


@dataclass(frozen=True, slots=True)
class Session:
    """A session that has begun; its secret is known to the browser only."""

    account: Account
    secret: str = field(repr=False)


class Sessions:
    """The sessions; each raises `StoreUnavailableError` where Postgres doesn't answer."""

    def __init__(self, database: Database) -> None:
        self._database = database

    # Whoever begins one clears away those that have expired.
    _BEGIN: Final = """
    WITH expired AS (DELETE FROM rollcall_api.session WHERE expires_at < now())
    INSERT INTO rollcall_api.session (secret_sha256, account, password_hash, expires_at)
    SELECT %s, name, %s, now() + make_interval(secs => %s)
    FROM rollcall_api.account WHERE name = %s
    RETURNING account
    """

    async def begin(self, login: AuthResult) -> Session | None:
        """Begin a session for a login that was right; None for one that was wrong."""
        if login.account is None:
            return None
        secret = secrets.token_hex(_SECRET_BYTES)
        values = (_sha256(secret), login.password_hash, LASTS_S, login.account.name)
        begun = await self._database.select(self._BEGIN, values)
        return Session(login.account, secret) if begun else None

    _SELECT_LIVE: Final = """
    SELECT account.name, account.role
    FROM rollcall_api.session JOIN rollcall_api.account
      ON account.name = session.account AND account.password_hash = session.password_hash
    WHERE secret_sha256 = %s AND expires_at > now()
    """

    async def check(self, session: SessionSecret) -> AuthResult:
        """Return the account of the session, none where it has ended."""
        checked_at_s = time.monotonic()
        rows = await self._database.select(
            self._SELECT_LIVE, (_sha256(session.text),), timeout_s=LOGIN_TIMEOUT_S
        )
        account = Account(rows[0]["name"], rows[0]["role"]) if rows else None
        return AuthResult(account, checked_at_s)

    _END: Final = "DELETE FROM rollcall_api.session WHERE secret_sha256 = %s RETURNING account"

    async def end(self, secret: str) -> None:
        """End the session, if there is one of this secret."""
        await self._database.select(self._END, (_sha256(secret),))


def _sha256(secret: str) -> bytes:
    return hashlib.sha256(secret.encode()).digest()
