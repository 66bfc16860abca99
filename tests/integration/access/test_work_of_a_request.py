"""What a request's credentials cost: counted as passwords hashed and statements sent."""

from __future__ import annotations

import asyncio
import base64
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ingest_api.app.application import make_parts
from ingest_api.app.settings import ApiSettings
from ingest_api.app.startup import OWN_TABLES
from ingest_api.postgres.own_tables import make_own_tables
from schemas.config.environment import read

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    import pytest

    from ingest_api.auth.authenticator import Authenticator
    from tests.support.servers.surroundings import Ground


def basic(text: str) -> str:
    """The header's value for these credentials."""
    return "Basic " + base64.b64encode(text.encode()).decode()


@dataclass
class Work:
    """What was done for requests so far; ``hashed`` has the costs of each hash, without salts."""

    authenticator: Authenticator
    statements: int = 0
    hashed: list[str] = field(default_factory=list[str])


@asynccontextmanager
async def counted(env: Ground, monkeypatch: pytest.MonkeyPatch) -> AsyncGenerator[Work]:
    """The parts of an API process on a real database, whose work is counted."""
    parts = make_parts(read(ApiSettings, env.environ))
    work = Work(parts.authenticator)
    select, is_right = parts.database.select, parts.passwords.is_right

    async def counted_select(*arguments: Any, **named: Any) -> list[dict[str, Any]]:
        work.statements += 1
        return await select(*arguments, **named)

    async def counted_is_right(known_hash: str, password: str, address: str) -> bool:
        work.hashed.append("$".join(known_hash.split("$")[:4]))
        return await is_right(known_hash, password, address)

    await parts.database.open()
    try:
        await make_own_tables(parts.database, *OWN_TABLES)
        await parts.accounts.prepare(env.password)
        monkeypatch.setattr(parts.database, "select", counted_select)
        monkeypatch.setattr(parts.passwords, "is_right", counted_is_right)
        yield work
    finally:
        parts.passwords.close()
        parts.uploads.close()
        await parts.database.close()


def test_a_request_is_answered_from_memory_and_after_a_change_by_one_statement(
    env: Ground, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No password is hashed again, and while nothing has changed Postgres is not asked."""

    async def ask() -> list[int]:
        header, statements = basic(f"admin:{env.password}"), list[int]()
        async with counted(env, monkeypatch) as work:
            assert await work.authenticator.account(header, "a") is not None
            statements.append(work.statements)
            for is_doubted in (False, True):
                for _ in range(20):
                    if is_doubted:
                        work.authenticator.invalidate()
                    assert await work.authenticator.account(header, "a") is not None
                statements.append(work.statements)
            assert len(work.hashed) == 1
        return statements

    assert asyncio.run(ask()) == [1, 1, 21]


def test_an_unknown_name_costs_what_a_known_one_costs(
    env: Ground, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each guess is one statement and one hash of the same costs, so nobody learns of accounts."""

    async def guess(name: str) -> tuple[int, list[str]]:
        async with counted(env, monkeypatch) as work:
            for number in range(3):
                header = basic(f"{name}:guess {number}")
                assert await work.authenticator.account(header, f"203.0.113.{number}") is None
            return work.statements, work.hashed

    known, unknown = asyncio.run(guess("admin")), asyncio.run(guess("nobody"))
    assert len(known[1]) == 3
    assert unknown == known


def test_of_processes_that_start_together_each_finds_its_password_right(
    env: Ground, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whichever of them makes the first account; another password is told of."""

    async def prepare() -> None:
        both = [make_parts(read(ApiSettings, env.environ)) for _ in range(2)]
        try:
            for parts in both:
                await parts.database.open()
            await make_own_tables(both[0].database, *OWN_TABLES)
            await asyncio.gather(*(parts.accounts.prepare(env.password) for parts in both))
            assert "not that of admin" not in capsys.readouterr().out
            await both[0].accounts.prepare("another password")
            assert "not that of admin" in capsys.readouterr().out
        finally:
            for parts in both:
                parts.passwords.close()
                parts.uploads.close()
                await parts.database.close()

    asyncio.run(prepare())
