"""Reads blocks of rows in a thread of its own, a few ahead of the thread that formats them."""

from __future__ import annotations

from collections import deque
from concurrent.futures import ThreadPoolExecutor, wait
from typing import TYPE_CHECKING, Final, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator

_AHEAD: Final = 4
"""Blocks: Postgres goes on while a Parquet row group is encoded."""
_CANCEL_AFTER_S: Final = 0.1
_T = TypeVar("_T")


def read_ahead(items: Iterator[_T], cancel: Callable[[], None]) -> Generator[_T]:
    """Yield the items in their order; raise what making one of them raised, in its place.

    Where it is closed early, ``cancel`` is called until the item that is being made is given up.
    """
    with ThreadPoolExecutor(1, thread_name_prefix="read-ahead") as thread:
        ahead = deque(thread.submit(next, items, None) for _ in range(_AHEAD))
        try:
            while (item := ahead[0].result()) is not None:
                ahead.popleft()
                ahead.append(thread.submit(next, items, None))
                yield item
        finally:
            begun = [future for future in ahead if not future.cancel()]
            while wait(begun, _CANCEL_AFTER_S).not_done:
                cancel()
