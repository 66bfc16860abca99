"""The accounts: names with passwords and roles, in Postgres.

A name that has no account costs the same work as one that has.
"""

from __future__ import annotations

import asyncio
import math
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import structlog

from ingest_api.auth.credential_cache import AuthResult
from ingest_api.errors import ConflictError, LimitReachedError, NotFoundError
from ingest_api.web.roles import Account

if TYPE_CHECKING:
    from ingest_api.auth.credentials import PasswordLogin
    from ingest_api.auth.login_rate_limit import LoginLimits
    from ingest_api.auth.password_hashing import PasswordHashing
    from ingest_api.postgres.pool import Connection, Database
    from ingest_api.web.paging import Page
    from ingest_api.web.roles import Role

ADMIN: Final = "admin"
_FIRST_ACCOUNT: Final = (
    "start once with ROLLCALL_ADMIN_PASSWORD, or run `rollcall accounts reset-password admin`"
)
_RESET: Final = (
    "it counts where there is no account yet; `rollcall accounts reset-password admin` sets another"
)
LOGIN_TIMEOUT_S: Final = 5.0
UNKNOWN_ACCOUNT: Final = "There is no account with this name"
NAME_TAKEN: Final = "There is already an account with this name"
LAST_ADMIN: Final = "The last administrator can't be deleted or given a lower role"
_log = structlog.stdlib.get_logger("rollcall.api")


@dataclass(frozen=True, slots=True)
class AccountChange:
    """What is to change of an account; None is left as it is."""

    role: Role | None = None
    password: str | None = None


class Accounts:
    """The accounts, for logins and for administrators.

    Each raises :class:`ingest_api.postgres.pool.StoreUnavailableError` where Postgres doesn't
    answer.
    """

    def __init__(self, database: Database, passwords: PasswordHashing, limits: LoginLimits) -> None:
        self._database = database
        self._passwords = passwords
        self._limits = limits
        self.prepared = asyncio.Event()
        """Set once the tables of accounts and tokens are there, and with them the first account."""

    async def prepare(self, admin_password: str) -> None:
        """Where there is no account, make ``admin`` with this password; the tables are there.

        Later the password is only compared: what administrators have changed survives a restart.
        """
        if admin_password:
            await self._make_first(admin_password)
        elif not await self._database.select(self._SELECT_ANY):
            _log.warning("there is no account, so no password gets in", remedy=_FIRST_ACCOUNT)
        self.prepared.set()

    _SELECT_ANY: Final = "SELECT FROM rollcall_api.account LIMIT 1"
    _INSERT_FIRST: Final = """
    INSERT INTO rollcall_api.account (name, role, password_hash)
    SELECT %s, 'admin', %s WHERE NOT EXISTS (SELECT FROM rollcall_api.account)
    ON CONFLICT (name) DO NOTHING
    """

    async def _make_first(self, password: str) -> None:
        if await self._is_set(password):
            return
        hashed = await self._passwords.hash(password)
        async with self._database.transaction() as connection:
            made = await connection.execute(self._INSERT_FIRST, (ADMIN, hashed))
        # Another process may have made it in between, with the same password.
        if not made.rowcount and not await self._is_set(password):
            _log.info("ROLLCALL_ADMIN_PASSWORD is not that of admin", remedy=_RESET)

    async def _is_set(self, password: str) -> bool:
        admin = await self._database.select(self._SELECT_LOGIN, (ADMIN,))
        known_hash = admin[0]["password_hash"] if admin else self._passwords.dummy_hash
        return await self._passwords.is_right(known_hash, password, "setting")

    _SELECT_LOGIN: Final = """
    SELECT name, role, password_hash FROM rollcall_api.account WHERE name = %s
    """

    async def check(
        self, login: PasswordLogin, address: str, before: AuthResult | None
    ) -> AuthResult:
        """Check the name and the password; ``before`` is the result of the last check.

        Raises:
            LimitReachedError: after too many wrong passwords from this address.
            UnavailableError: too many wait.
        """
        if before is None:
            self._refuse_where_limited(login.name, address)
        checked_at_s = time.monotonic()
        rows = await self._database.select(
            self._SELECT_LOGIN, (login.name,), timeout_s=LOGIN_TIMEOUT_S
        )
        hashed = rows[0]["password_hash"] if rows else self._passwords.dummy_hash
        if before is not None and before.password_hash == hashed:
            is_right = before.account is not None
        else:
            is_right = await self._is_right(login, hashed, address)
        account = Account(rows[0]["name"], rows[0]["role"]) if rows and is_right else None
        return AuthResult(account, checked_at_s, hashed)

    async def _is_right(self, login: PasswordLogin, hashed: str, address: str) -> bool:
        self._refuse_where_limited(login.name, address)
        self._limits.begin(login.name, address, time.monotonic())
        is_wrong = False
        try:
            is_wrong = not await self._passwords.is_right(hashed, login.password, address)
        finally:
            if not is_wrong:
                self._limits.forgive(login.name, address, time.monotonic())
        return not is_wrong

    def _refuse_where_limited(self, name: str, address: str) -> None:
        wait_s = self._limits.wait_s(name, address, time.monotonic())
        if wait_s > 0:
            raise LimitReachedError(
                "Too many failed logins, try again later",
                retry_after_s=math.ceil(wait_s),
            )

    _COLUMNS: Final = "name, role, created_at, modified_at"

    async def select_page(self, page: Page) -> tuple[int, list[dict[str, Any]]]:
        """Return the number of accounts, and a page of them by name."""
        return await self._database.select_page(
            self._COLUMNS, "rollcall_api.account", order="name", size=page.size, start=page.start
        )

    _SELECT_ACCOUNT: Final = """
    SELECT name, role, created_at, modified_at FROM rollcall_api.account WHERE name = %s
    """

    async def fetch(self, name: str) -> dict[str, Any]:
        """Return the account with this name.

        Raises:
            NotFoundError: there is none.
        """
        rows = await self._database.select(self._SELECT_ACCOUNT, (name,))
        if not rows:
            raise NotFoundError(UNKNOWN_ACCOUNT)
        return rows[0]

    _ADD: Final = """
    INSERT INTO rollcall_api.account (name, role, password_hash) VALUES (%s, %s, %s)
    ON CONFLICT (name) DO NOTHING
    RETURNING name
    """

    async def add(self, account: Account, password: str) -> None:
        """Make the account.

        Raises:
            ConflictError: the name is taken.
        """
        hashed = await self._passwords.hash(password)
        added = await self._database.select(self._ADD, (account.name, account.role, hashed))
        if not added:
            raise ConflictError(NAME_TAKEN)

    _CHANGE: Final = """
    UPDATE rollcall_api.account
    SET role = coalesce(%s, role), password_hash = coalesce(%s, password_hash), modified_at = now()
    WHERE name = %s
    """

    async def change(self, name: str, change: AccountChange) -> None:
        """Change the account.

        Raises:
            NotFoundError: there is none.
            ConflictError: no administrator would be left.
        """
        hashed = None if change.password is None else await self._passwords.hash(change.password)
        async with self._database.transaction() as connection:
            await self._lock(connection, name, keeps_admin=change.role in {None, ADMIN})
            await connection.execute(self._CHANGE, (change.role, hashed, name))

    _DELETE: Final = "DELETE FROM rollcall_api.account WHERE name = %s"

    async def delete(self, name: str) -> None:
        """Delete the account.

        Raises:
            NotFoundError: there is none.
            ConflictError: no administrator would be left.
        """
        async with self._database.transaction() as connection:
            await self._lock(connection, name, keeps_admin=False)
            await connection.execute(self._DELETE, (name,))

    # Only one change at a time: two administrators who demote each other would each see the
    # other one left. Logins only read, so they don't wait.
    _LOCK: Final = "LOCK TABLE rollcall_api.account IN SHARE ROW EXCLUSIVE MODE"
    _SELECT_ADMINS: Final = """
    SELECT role,
           (SELECT count(*) FROM rollcall_api.account WHERE role = 'admin') AS admins
    FROM rollcall_api.account WHERE name = %s
    """

    async def _lock(self, connection: Connection, name: str, *, keeps_admin: bool) -> None:
        await connection.execute(self._LOCK)
        row = await (await connection.execute(self._SELECT_ADMINS, (name,))).fetchone()
        if row is None:
            raise NotFoundError(UNKNOWN_ACCOUNT)
        if row["role"] == ADMIN and row["admins"] == 1 and not keeps_admin:
            raise ConflictError(LAST_ADMIN)
