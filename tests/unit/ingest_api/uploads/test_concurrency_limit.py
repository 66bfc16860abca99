"""How many uploads come in at once, and how long each may take."""

from __future__ import annotations

import asyncio

import pytest

from ingest_api.errors import IngestError
from ingest_api.uploads.concurrency_limit import ConcurrencyLimit
from ingest_api.web.refused import status_of
from ingest_api.web.responses import refusal


def status(refused: pytest.ExceptionInfo[IngestError]) -> tuple[int, bool]:
    """The answer's status, and whether it says when to come again."""
    answer = refusal(refused.value)
    return answer.status, "Retry-After" in answer.headers


def test_an_account_and_all_together_have_their_limits() -> None:
    """The next upload is told to come again, and room that is freed is free."""
    concurrency = ConcurrencyLimit(at_once=3, per_account=2, deadline_s=1)
    with concurrency.slot("a"), concurrency.slot("a"):
        with pytest.raises(IngestError) as refused, concurrency.slot("a"):
            pass
        assert status(refused) == (429, True)
        with concurrency.slot("b"), pytest.raises(IngestError) as refused, concurrency.slot("c"):
            pass
        assert status(refused) == (503, True)
    with concurrency.slot("a"), concurrency.slot("a"), concurrency.slot("b"):
        pass


def test_a_body_that_takes_too_long_is_refused() -> None:
    """However often a byte of it comes."""
    concurrency = ConcurrencyLimit(at_once=1, per_account=1, deadline_s=0.05)

    async def receive() -> None:
        async with concurrency.receiving():
            for _ in range(1000):
                await asyncio.sleep(0.01)

    with pytest.raises(IngestError) as refused:
        asyncio.run(receive())
    assert status_of(type(refused.value)) == 408


def test_a_gate_that_closes_takes_no_more() -> None:
    """Whoever comes while the process stops is told to come again."""
    concurrency = ConcurrencyLimit(at_once=1, per_account=1, deadline_s=1)

    async def close() -> None:
        concurrency.close()
        with pytest.raises(IngestError) as refused, concurrency.slot("a"):
            pass
        assert status(refused) == (503, True)

    asyncio.run(close())
