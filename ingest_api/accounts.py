"""Who may use the API, and how that is checked without helping whoever guesses.

Passwords are kept as argon2id (19 MiB, two passes, one lane: OWASP's first choice).
A name that has no account costs the same work, and a failed login is answered
later the more often it fails from one address, so nobody else is locked out.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import hashlib
import hmac
import secrets
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib import resources
from typing import TYPE_CHECKING, Final, Literal, LiteralString, cast

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from ingest_api.store import StoreUnavailableError

if TYPE_CHECKING:
    from ingest_api.store import Store

Role = Literal["reader", "importer", "admin"]
ROLES: Final[tuple[Role, ...]] = ("reader", "importer", "admin")
"""From the lowest to the highest; a role may all that lower ones may."""
ADMIN: Final = "admin"

_CACHE_S: Final = 60.0
_MOST_CACHED: Final = 10_000
_MOST_HEADER_CHARACTERS: Final = 4096
_HASHING_THREADS: Final = 2
_LOGIN_TIMEOUT_S: Final = 5.0
_FREE_FAILURES: Final = 5
_FORGET_FAILURES_S: Final = 300.0
_LONGEST_DELAY_S: Final = 2.0

_SELECT_ACCOUNT: Final = """
SELECT name, role, password_hash FROM rollcall_api.account WHERE name = %s
"""
_STORE_ADMIN: Final = """
INSERT INTO rollcall_api.account (name, role, password_hash) VALUES (%s, 'admin', %s)
ON CONFLICT (name) DO UPDATE
SET password_hash = EXCLUDED.password_hash, role = EXCLUDED.role, modified_at = now()
"""


@dataclass(frozen=True, slots=True)
class Account:
    """Who sends a request."""

    name: str
    role: Role

    def may(self, role: Role) -> bool:
        """Whether the account's role is this one or a higher one."""
        return ROLES.index(self.role) >= ROLES.index(role)


@dataclass(frozen=True, slots=True)
class Credentials:
    """A name and a password as a request brings them."""

    name: str
    password: str


def basic_credentials(authorization: str | None) -> Credentials | None:
    """The credentials of an ``Authorization`` header, or None where it is not well-formed Basic."""
    if authorization is None or len(authorization) > _MOST_HEADER_CHARACTERS:
        return None
    scheme, _, encoded = authorization.partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        text = base64.b64decode(encoded.strip(), validate=True).decode()
    except (binascii.Error, ValueError):
        return None
    name, colon, password = text.partition(":")
    if not colon or not name or "\0" in text:
        return None
    return Credentials(name, password)


class Accounts:
    """The accounts in Postgres, behind a cache that remembers good credentials for a minute."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._hasher = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)
        self._dummy_hash = self._hasher.hash(secrets.token_hex(16))
        # Hashing is meant to be slow: without a bound, logins would take all processors.
        self._threads = ThreadPoolExecutor(_HASHING_THREADS, thread_name_prefix="argon2")
        self._cache_key = secrets.token_bytes(32)
        self._cache: dict[bytes, tuple[Account, float]] = {}
        self._failures = Failures()
        self._is_prepared = False

    async def prepare(self, admin_password: str) -> None:
        """Make the tables, and the account ``admin`` with this password where one is given.

        Raises:
            StoreUnavailableError: it may be tried again.
        """
        ddl = resources.files("ingest_api").joinpath("accounts.sql").read_text()
        async with self._store.transaction() as connection:
            await connection.execute(cast("LiteralString", ddl))
        if admin_password:
            await self._set_admin(admin_password)
        self._is_prepared = True

    async def _set_admin(self, admin_password: str) -> None:
        known = await self._select(ADMIN)
        if known is None or not await self._is_password(known[1], admin_password):
            hashed = await self._in_thread_hash(admin_password)
            async with self._store.transaction() as connection:
                await connection.execute(_STORE_ADMIN, (ADMIN, hashed))
            self._cache.clear()

    def close(self) -> None:
        """End the hashing threads."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def authenticate(self, credentials: Credentials, address: str) -> Account | None:
        """The account of the credentials, or None; slower after failures from this address.

        Raises:
            StoreUnavailableError: it cannot be known for now.
        """
        if not self._is_prepared:
            raise StoreUnavailableError("the accounts are not there yet")
        token = self._token(credentials)
        cached = self._cache.get(token)
        if cached is not None and cached[1] > time.monotonic():
            return cached[0]
        origin = (credentials.name, address)
        await asyncio.sleep(self._failures.delay_s(origin, time.monotonic()))
        account = await self._check(credentials)
        if account is None:
            self._failures.add(origin, time.monotonic())
            return None
        self._failures.forget(origin)
        self._remember(token, account)
        return account

    async def _check(self, credentials: Credentials) -> Account | None:
        known = await self._select(credentials.name)
        hashed = known[1] if known else self._dummy_hash
        is_right = await self._is_password(hashed, credentials.password)
        return known[0] if known and is_right else None

    async def _select(self, name: str) -> tuple[Account, str] | None:
        rows = await self._store.select(_SELECT_ACCOUNT, (name,), timeout_s=_LOGIN_TIMEOUT_S)
        if not rows:
            return None
        return Account(rows[0]["name"], rows[0]["role"]), rows[0]["password_hash"]

    async def _is_password(self, hashed: str, password: str) -> bool:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, self._verify, hashed, password)

    def _verify(self, hashed: str, password: str) -> bool:
        try:
            return self._hasher.verify(hashed, password)
        except (VerificationError, InvalidHashError):
            return False

    async def _in_thread_hash(self, password: str) -> str:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, self._hasher.hash, password)

    def _token(self, credentials: Credentials) -> bytes:
        text = f"{credentials.name}\0{credentials.password}".encode()
        return hmac.digest(self._cache_key, text, hashlib.sha256)

    def _remember(self, token: bytes, account: Account) -> None:
        if len(self._cache) >= _MOST_CACHED:
            self._cache.clear()
        self._cache[token] = (account, time.monotonic() + _CACHE_S)


class Failures:
    """How often logins have failed lately, by name and address."""

    def __init__(self) -> None:
        self._failures: dict[tuple[str, str], tuple[int, float]] = {}

    def delay_s(self, origin: tuple[str, str], now_s: float) -> float:
        """How long the next attempt waits: nothing at first, then doubling up to two seconds."""
        count, last_s = self._failures.get(origin, (0, now_s))
        if count < _FREE_FAILURES or now_s - last_s > _FORGET_FAILURES_S:
            return 0
        return min(0.1 * 2.0 ** min(count - _FREE_FAILURES, 10), _LONGEST_DELAY_S)

    def add(self, origin: tuple[str, str], now_s: float) -> None:
        """Count a failed login."""
        if len(self._failures) >= _MOST_CACHED:
            self._failures.clear()
        count, last_s = self._failures.get(origin, (0, now_s))
        if now_s - last_s > _FORGET_FAILURES_S:
            count = 0
        self._failures[origin] = (count + 1, now_s)

    def forget(self, origin: tuple[str, str]) -> None:
        """A login succeeded."""
        self._failures.pop(origin, None)
