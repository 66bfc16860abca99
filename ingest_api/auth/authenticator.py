"""Authenticates requests by password, API token, JWT or session.

Most requests are answered from memory (:mod:`ingest_api.auth.credential_cache`).
Requests that come with the same credentials while these are being checked wait
for that one check.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import secrets
import time
from functools import partial
from typing import TYPE_CHECKING, Final

from ingest_api.auth.credential_cache import AuthResult, CredentialCache
from ingest_api.auth.credentials import (
    MOST_HEADER_CHARACTERS,
    ApiToken,
    PasswordLogin,
    SessionSecret,
    SignedToken,
    credentials_of,
)
from ingest_api.errors import StoreUnavailableError
from schemas.runtime.abandoned import mark_retrieved

if TYPE_CHECKING:
    from collections.abc import Callable

    from ingest_api.auth.accounts import Accounts
    from ingest_api.auth.api_tokens import ApiTokens
    from ingest_api.auth.credentials import Credentials
    from ingest_api.auth.jwt_verifier import JwtVerifier
    from ingest_api.auth.sessions.store import Session, Sessions
    from ingest_api.web.roles import Account

_START_TIMEOUT_S: Final = 3.0
"""As long as a connection to Postgres is waited for."""


class Authenticator:
    """Checks credentials; used from one event loop."""

    def __init__(
        self,
        accounts: Accounts,
        tokens: ApiTokens,
        *,
        sessions: Sessions,
        issuer: JwtVerifier | None,
    ) -> None:
        self._accounts = accounts
        self._sessions = sessions
        self._tokens = tokens
        self._issuer = issuer
        # Passwords and tokens must not lie in memory for longer than their request.
        self._key = secrets.token_bytes(32)
        self._cache = CredentialCache()
        self._checks: dict[tuple[bytes, str], asyncio.Task[AuthResult]] = {}

    def start(self) -> None:
        """Begin to fetch the issuer's keys, where there is one."""
        if self._issuer is not None:
            self._issuer.start()

    async def stop(self) -> None:
        """Stop fetching keys."""
        if self._issuer is not None:
            await self._issuer.stop()

    def invalidate(self) -> None:
        """Drop all results from before now, because accounts or tokens were changed here."""
        self._cache.invalidate(time.monotonic())
        self._checks.clear()

    async def account(self, authorization: str | None, address: str) -> Account | None:
        """Return the account of the credentials in this header, None where they are wrong.

        Raises:
            RoleTooLowError: a valid JWT names no role.
            LimitReachedError: after too many wrong ones.
            UnavailableError: they can't be checked now.
            StoreUnavailableError: it cannot be known for now.
        """
        if authorization is None or len(authorization) > MOST_HEADER_CHARACTERS:
            return None
        return await self._account(authorization, credentials_of, address)

    async def session_account(self, secret: str, address: str) -> Account | None:
        """Return the account that has signed in to this session, None where it has ended.

        Raises:
            StoreUnavailableError: it cannot be known for now.
        """
        # No header holds a NUL, so what one says is never taken for a session.
        return await self._account(f"\0{secret}", lambda _: SessionSecret(secret), address)

    async def sign_in(self, login: PasswordLogin, address: str) -> Session | None:
        """Check a login as every request's, and begin a session; None where it is wrong.

        Raises:
            LimitReachedError: after too many wrong ones.
            UnavailableError: it can't be checked now.
            StoreUnavailableError: it cannot be known for now.
        """
        await self._await_accounts()
        return await self._sessions.begin(await self._accounts.check(login, address, None))

    async def sign_out(self, secret: str) -> None:
        """End the session: here at once, within two seconds on every other instance."""
        await self._sessions.end(secret)
        self.invalidate()

    async def _account(
        self, text: str, parse: Callable[[str], Credentials | None], address: str
    ) -> Account | None:
        digest = hmac.digest(self._key, text.encode(errors="replace"), hashlib.sha256)
        result = self._cache.fresh(digest, time.monotonic())
        if result is None:
            credentials = parse(text)
            if credentials is None:
                return None
            result = await self._checked(digest, credentials, address)
        return result.account

    async def _checked(self, digest: bytes, credentials: Credentials, address: str) -> AuthResult:
        key = (digest, address)
        check = self._checks.get(key)
        if check is None:
            check = asyncio.create_task(self._check(digest, credentials, address))
            self._checks[key] = check
            check.add_done_callback(partial(self._forget, key))
        # Whoever began the check may go away; others wait for it too.
        return await asyncio.shield(check)

    def _forget(self, key: tuple[bytes, str], check: asyncio.Task[AuthResult]) -> None:
        if self._checks.get(key) is check:
            del self._checks[key]
        mark_retrieved(check)

    async def _check(self, digest: bytes, credentials: Credentials, address: str) -> AuthResult:
        if not isinstance(credentials, SignedToken):
            await self._await_accounts()
        if isinstance(credentials, PasswordLogin):
            before = self._cache.last(digest, time.monotonic())
            result = await self._accounts.check(credentials, address, before)
        elif isinstance(credentials, ApiToken):
            result = await self._tokens.check(credentials)
        elif isinstance(credentials, SessionSecret):
            result = await self._sessions.check(credentials)
        elif self._issuer is not None:
            result = await self._issuer.check(credentials)
        else:
            result = AuthResult(None, time.monotonic())
        self._cache.keep(digest, result)
        return result

    async def _await_accounts(self) -> None:
        """Wait for the tables, so that requests during the start are delayed, not refused."""
        try:
            async with asyncio.timeout(_START_TIMEOUT_S):
                await self._accounts.prepared.wait()
        except TimeoutError:
            raise StoreUnavailableError("accounts and tokens are not there yet") from None
