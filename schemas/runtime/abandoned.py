"""Work of asyncio whose outcome nobody may be waiting for any more."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import asyncio


def mark_retrieved(done: asyncio.Future[Any]) -> None:
    """Have asyncio not report an exception: whoever waited for it has seen it, or has gone."""
    if not done.cancelled():
        done.exception()
