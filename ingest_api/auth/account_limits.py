"""Limits on what one account has under way at once, so that nobody starves the others.

An account's further requests of the same kind wait a while for their turn.
Requests that are short, such as a status, are not limited; the searches of all accounts together
leave them connections of the pool.
"""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ingest_api.auth.middleware import account_of
from ingest_api.errors import LimitReachedError
from ingest_api.postgres.pool import MOST_SEARCHES
from ingest_api.postgres.row_stream import MOST_STREAMS
from ingest_api.postgres.slots import Slots
from ingest_api.web.request_context import context_of

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from sanic import Request

    from ingest_api.openapi.operation import Work


@dataclass(frozen=True, slots=True)
class _Limit:
    """How many of one kind are under way at once; how many of an account wait, and how long."""

    name: str
    of_account: int
    of_all: int
    waiting: int = 0
    wait_s: float = 0


@dataclass(slots=True)
class _Held:
    """What one account has: its slots, and requests that hold one or wait."""

    slots: Slots
    requests: int = 0


class _Places:
    """The places of one kind of work; used from one event loop."""

    def __init__(self, limit: _Limit) -> None:
        self._limit = limit
        self._refusal = f"{limit.of_account} {limit.name} of this account are under way, try again"
        refusal = f"Too many {limit.name} are under way, try again"
        self._of_all = Slots(limit.of_all, timeout_s=limit.wait_s, refusal=refusal)
        self._accounts: dict[str, _Held] = {}

    @asynccontextmanager
    async def one(self, account: str) -> AsyncGenerator[None]:
        """Hold a place for this account.

        Raises:
            LimitReachedError: its others did not end in time, or too many wait already.
            UnavailableError: those of all accounts did not.
        """
        limit = self._limit
        held = self._accounts.setdefault(account, _Held(self._slots_of_account()))
        if held.requests >= limit.of_account + limit.waiting:
            raise LimitReachedError(self._refusal)
        held.requests += 1
        try:
            async with held.slots.one(), self._of_all.one():
                yield
        finally:
            held.requests -= 1
            if not held.requests:
                del self._accounts[account]

    def _slots_of_account(self) -> Slots:
        limit = self._limit
        return Slots(
            limit.of_account,
            timeout_s=limit.wait_s,
            refusal=self._refusal,
            error=LimitReachedError,
        )


class AccountLimits:
    """The limits of one API process, which has so many event streams for all accounts."""

    def __init__(self, *, streams: int) -> None:
        limits: dict[Work, _Limit] = {
            "search": _Limit("searches", 3, of_all=MOST_SEARCHES, waiting=64, wait_s=10),
            "export": _Limit(
                "exports", MOST_STREAMS - 1, of_all=MOST_STREAMS, waiting=8, wait_s=20
            ),
            "error file": _Limit("error files", 16, of_all=64, waiting=16, wait_s=20),
            "stream": _Limit("event streams", (streams + 1) // 2, of_all=streams),
        }
        self._places = {work: _Places(limit) for work, limit in limits.items()}

    async def hold(self, request: Request[Any, Any], work: Work) -> None:
        """Take a place of the request's account, which it gives back when it has been answered.

        Raises:
            LimitReachedError: the account has too many requests of this kind.
            UnavailableError: all accounts together have.
        """
        place = self._places[work].one(account_of(request).name)
        await context_of(request).at_end.enter_async_context(place)
