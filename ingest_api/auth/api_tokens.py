"""API tokens: secrets with a name and a role, made by administrators for programs.

Of a secret only its SHA-256 is kept: it has 256 random bits, so unlike a
password it needs no slow hash.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import time
from typing import TYPE_CHECKING, Any, Final

from ingest_api.auth.accounts import LOGIN_TIMEOUT_S
from ingest_api.auth.credential_cache import AuthResult
from ingest_api.auth.credentials import ApiToken
from ingest_api.errors import ConflictError, NotFoundError, StoreUnavailableError
from ingest_api.web.roles import Account
from schemas.runtime.abandoned import shared_task

if TYPE_CHECKING:
    import asyncio

    from ingest_api.postgres.pool import Database
    from ingest_api.web.paging import Page

PREFIX: Final = "token/"
UNKNOWN_TOKEN: Final = "There is no token with this ID"  # noqa: S105 - a message
NAME_TAKEN: Final = "There is already a token with this name"
_SECRET_BYTES: Final = 32
_NOTED_EVERY_S: Final = 60.0


class ApiTokens:
    """The tokens, for requests and for administrators.

    Each raises :class:`ingest_api.postgres.pool.StoreUnavailableError` where Postgres doesn't
    answer.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._noted_at_s: dict[int, float] = {}
        self._noting: set[asyncio.Task[None]] = set()

    _SELECT_LIVE: Final = """
    SELECT name, role, secret_sha256 FROM rollcall_api.token
    WHERE id = %s AND (expires_at IS NULL OR expires_at > now())
    """

    async def check(self, token: ApiToken) -> AuthResult:
        """Check the token against its stored hash."""
        checked_at_s = time.monotonic()
        rows = await self._database.select(
            self._SELECT_LIVE, (token.token_id,), timeout_s=LOGIN_TIMEOUT_S
        )
        is_right = bool(rows) and hmac.compare_digest(_sha256(token), rows[0]["secret_sha256"])
        if not is_right:
            return AuthResult(None, checked_at_s)
        self._note_use(token.token_id)
        return AuthResult(Account(PREFIX + rows[0]["name"], rows[0]["role"]), checked_at_s)

    def _note_use(self, token_id: int) -> None:
        """Write down the use, at most once a minute; nobody waits for it."""
        now_s = time.monotonic()
        noted_at_s = self._noted_at_s.get(token_id)
        if noted_at_s is not None and now_s - noted_at_s < _NOTED_EVERY_S:
            return
        self._noted_at_s[token_id] = now_s
        task = shared_task(self._store_use(token_id))
        self._noting.add(task)
        task.add_done_callback(self._noting.discard)

    # Other instances note uses too.
    _STORE_USE: Final = """
    UPDATE rollcall_api.token SET last_used_at = now()
    WHERE id = %s
      AND (last_used_at IS NULL OR last_used_at < now() - interval '1 minute')
    RETURNING id
    """

    async def _store_use(self, token_id: int) -> None:
        try:
            await self._database.select(self._STORE_USE, (token_id,), timeout_s=LOGIN_TIMEOUT_S)
        except StoreUnavailableError:
            self._noted_at_s.pop(token_id, None)  # the next use is noted instead

    _COLUMNS: Final = "id, name, role, created_by, created_at, expires_at, last_used_at"

    async def select_page(self, page: Page) -> tuple[int, list[dict[str, Any]]]:
        """Return the number of tokens, and a page of them, the oldest first."""
        return await self._database.select_page(
            self._COLUMNS, "rollcall_api.token", order="id", size=page.size, start=page.start
        )

    _ADD: Final = """
    INSERT INTO rollcall_api.token (name, role, secret_sha256, created_by, expires_at)
    VALUES (%s, %s, %s, %s, now() + make_interval(days => %s))
    ON CONFLICT (name) DO NOTHING
    RETURNING id
    """

    async def add(self, account: Account, by: str, expires_in_days: int | None) -> ApiToken:
        """Make a token with the account's name and role; its secret is known to the caller only.

        Raises:
            ConflictError: the name is taken.
        """
        secret = secrets.token_hex(_SECRET_BYTES)
        hashed = hashlib.sha256(secret.encode()).digest()
        added = await self._database.select(
            self._ADD, (account.name, account.role, hashed, by, expires_in_days)
        )
        if not added:
            raise ConflictError(NAME_TAKEN)
        return ApiToken(added[0]["id"], secret)

    _DELETE: Final = "DELETE FROM rollcall_api.token WHERE id = %s RETURNING name"

    async def delete(self, token_id: int) -> str:
        """Delete the token; return its name.

        Raises:
            NotFoundError: there is no such token.
        """
        deleted = await self._database.select(self._DELETE, (token_id,))
        if not deleted:
            raise NotFoundError(UNKNOWN_TOKEN)
        self._noted_at_s.pop(token_id, None)
        name: str = deleted[0]["name"]
        return name


def _sha256(token: ApiToken) -> bytes:
    return hashlib.sha256(token.secret.encode()).digest()
