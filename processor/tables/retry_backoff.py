"""Decides when an instance that failed is built again without being asked for.

A rebuild that fails is asked for again by whoever wanted it.
What follows from an undo, or from code with other tables, is wanted until it is there: the
builder tries again by itself, each time later, because a build that fails costs a replay of
the log and the room of a second set of tables until then.
"""

from __future__ import annotations

from typing import Final

from schemas.clients.backoff import Backoff

RETRIED: Final = frozenset({"undo", "upgrade"})
"""Purposes of instances that are tried again."""
FIRST_PAUSE_S: Final = 10.0
LONGEST_PAUSE_S: Final = 600.0
_BACKOFF: Final = Backoff(first_s=FIRST_PAUSE_S, longest_s=LONGEST_PAUSE_S)


def pause_s(failures: int) -> float:
    """Return how long it is left alone after so many failures in a row, at least one."""
    return _BACKOFF.pause_s(failures)
