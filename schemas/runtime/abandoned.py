"""Work of asyncio whose outcome nobody may be waiting for any more."""

from __future__ import annotations

import asyncio
from contextvars import Context
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Coroutine

_T = TypeVar("_T")


def mark_retrieved(done: asyncio.Future[Any]) -> None:
    """Have asyncio not report an exception: whoever waited for it has seen it, or has gone."""
    if not done.cancelled():
        done.exception()


def shared_task(work: Coroutine[Any, Any, _T]) -> asyncio.Task[_T]:
    """Start a task that is for many requests: its logs have no id of the one that began it."""
    return asyncio.create_task(work, context=Context())
