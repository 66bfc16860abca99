"""What an account may have under way at once, by the kind of work."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest

from ingest_api.auth.account_limits import AccountLimits
from ingest_api.errors import LimitReachedError, UnavailableError
from ingest_api.postgres.pool import MOST_SEARCHES
from ingest_api.web.request_context import RequestContext, attach

if TYPE_CHECKING:
    from contextlib import AsyncExitStack

    from sanic import Request

    from ingest_api.openapi.operation import Work


def request_of(account: str) -> Request[Any, Any]:
    """A request that is being answered; closing its context's end answers it."""
    scope: dict[str, Any] = {}
    attach(scope, RequestContext("r", has_body=False))
    found = SimpleNamespace(ctx=SimpleNamespace(account=SimpleNamespace(name=account)), scope=scope)
    return cast("Request[Any, Any]", found)


def end_of(request: Request[Any, Any]) -> AsyncExitStack:
    """What is closed once it has been answered."""
    context: RequestContext = request.scope["state"]["rollcall.request"]
    return context.at_end


async def held(limits: AccountLimits, account: str, count: int, work: Work) -> list[Any]:
    """So many requests with a place each."""
    requests = [request_of(account) for _ in range(count)]
    for request in requests:
        await limits.hold(request, work)
    return requests


def test_an_accounts_next_search_waits_for_its_others() -> None:
    """Another account's does not; the end of one lets the next begin."""

    async def run() -> None:
        limits = AccountLimits(streams=10)
        first = await held(limits, "busy", 3, "search")
        fourth = asyncio.create_task(limits.hold(request_of("busy"), "search"))
        await held(limits, "other", MOST_SEARCHES - 3, "search")
        await asyncio.sleep(0)
        assert not fourth.done()
        await end_of(first[0]).aclose()
        await fourth

    asyncio.run(run())


def test_what_waits_is_bounded_and_so_is_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Then 429 for the account's own sake, 503 for that of all; nothing is held for long."""

    async def run() -> None:
        limits = AccountLimits(streams=10)
        monkeypatch.setattr(asyncio, "timeout", short)
        ones = await held(limits, "busy", 3, "search")
        with pytest.raises(LimitReachedError, match=r"^3 searches of this account are under way"):
            await limits.hold(request_of("busy"), "search")
        others = await held(limits, "other", MOST_SEARCHES - 3, "search")
        with pytest.raises(UnavailableError, match=r"^Too many searches are under way"):
            await limits.hold(request_of("third"), "search")
        for request in (*ones, *others):
            await end_of(request).aclose()
        await held(limits, "busy", 3, "search")

    timeout = asyncio.timeout

    def short(_: float) -> asyncio.Timeout:
        return timeout(0.01)

    asyncio.run(run())


def test_an_account_has_half_of_the_event_streams() -> None:
    """The next is refused at once."""

    async def run() -> None:
        limits = AccountLimits(streams=10)
        await held(limits, "busy", 5, "stream")
        with pytest.raises(LimitReachedError):
            await limits.hold(request_of("busy"), "stream")
        await held(limits, "other", 5, "stream")

    asyncio.run(run())
