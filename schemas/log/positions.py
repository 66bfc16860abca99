"""Positions: a place in `user-events` as one number, which is also the id of a user made there.

Positions rise with offsets within a partition; partitions lie far apart, and none is 0.
"""

from __future__ import annotations

from typing import Final, LiteralString, NamedTuple

OFFSET_BITS: Final = 48
"""Room for offsets; 12 bits are left for the partition, so that an id stays below 2**60."""


class Place(NamedTuple):
    """The place of a record in `user-events`."""

    partition: int
    offset: int


def position_of(partition: int, offset: int) -> int:
    """Return the position of the record there, and the id of the user that it creates.

    A replay gives the same.
    """
    return (partition << OFFSET_BITS) + offset + 1


def place_of(position: int) -> Place:
    """Return where the record with this position is; the inverse of :func:`position_of`."""
    return Place((position - 1) >> OFFSET_BITS, (position - 1) & ((1 << OFFSET_BITS) - 1))


def partition_sql(position: LiteralString) -> LiteralString:
    """Return the partition of a position in SQL, which is given as an expression."""
    return f"(({position} - 1) >> 48)"


def offset_sql(position: LiteralString) -> LiteralString:
    """Return the offset of a position in SQL, which is given as an expression."""
    return f"(({position} - 1) & ((1::bigint << 48) - 1))"


def last_position_sql(offsets: LiteralString) -> LiteralString:
    """Return in SQL the last position before the ``next_offset`` of a ``projection_offset`` row.

    ``offsets`` is the name that the table has in the statement.
    """
    return f"(({offsets}.partition::bigint << 48) + {offsets}.next_offset)"
