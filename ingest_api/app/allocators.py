"""Bound the memory that the process's allocators keep after it was freed.

Each upload is surveyed in a thread of its own, and by default each thread gets a
heap of its own that keeps what it once needed: with two dozen uploads at once
that was two thirds of the process's memory.
"""

from __future__ import annotations

import ctypes
import sys
from typing import Final

import pyarrow as pa

_M_ARENA_MAX: Final = -8
"""glibc, malloc.h."""
_ARENAS: Final = 2


def bound_allocators() -> None:
    """Make all threads share a few heaps; called before any thread is started."""
    pa.set_memory_pool(pa.system_memory_pool())
    if sys.platform == "linux":
        mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
        if mallopt is not None:
            mallopt(_M_ARENA_MAX, _ARENAS)
