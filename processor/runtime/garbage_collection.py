"""Makes Python look for reference cycles rarely while many records are held.

A record of Kafka's client is an object that the collector follows.  With Python's
own thresholds, reading tens of thousands of them makes it walk over all that are
held again and again, which took a fifth of the time of a replay; they hold no
cycles.
"""

from __future__ import annotations

import contextlib
import gc
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Generator

_YOUNG_OBJECTS: Final = 50_000
"""Made and not gone again since the last look: cycles are few, so they may wait that long."""


@contextlib.contextmanager
def rare_collections() -> Generator[None]:
    """Cycles are looked for rarely, and not among the objects that are there already."""
    before = gc.get_threshold()
    gc.freeze()
    gc.set_threshold(_YOUNG_OBJECTS, *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()
