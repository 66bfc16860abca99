"""Finds the values of a batch that may be why it can't be decoded."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from schemas.codec import columnar

if TYPE_CHECKING:
    from collections.abc import Mapping

    from schemas.events import RowRejected, UserRow

_PIECE_ROWS: Final = 8
"""So few values are looked at one by one where one of them can't be decoded."""


def suspect_values(
    event_type: type[UserRow | RowRejected], values: Mapping[int, bytes], positions: list[int]
) -> set[int]:
    """Return the positions of small pieces in which a value can't be decoded, by halving.

    To look at each of many values alone takes ten times as long as all of them together.
    """
    if len(positions) <= _PIECE_ROWS:
        return set(positions)
    middle = len(positions) // 2
    found: set[int] = set()
    for half in (positions[:middle], positions[middle:]):
        try:
            columnar.decode_batch(event_type, [values[at] for at in half])
        except ValueError:
            found |= suspect_values(event_type, values, half)
    return found
