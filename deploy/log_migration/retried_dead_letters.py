"""Keeps dead letters that were retried marked as retried in the new topics.

The API records retries by topic, partition and offset, and a move changes topic and offset.
Without this, retrying all dead letters after a move would append old events again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, LiteralString

if TYPE_CHECKING:
    import psycopg

_HAS_TABLE: LiteralString = "SELECT to_regclass('rollcall_api.dead_letter_retry') IS NOT NULL"
_SELECT: LiteralString = """
SELECT DISTINCT partition, "offset" FROM rollcall_api.dead_letter_retry WHERE topic = %(old)s
"""
_FORGET: LiteralString = "DELETE FROM rollcall_api.dead_letter_retry WHERE topic = %(new)s"
_CARRY: LiteralString = """
INSERT INTO rollcall_api.dead_letter_retry
    (topic, partition, "offset", buried_ms, attempt, retried_by, retried_at, to_partition,
     to_offset)
SELECT %(new)s, partition, new_offset, buried_ms, attempt, retried_by, retried_at, to_partition,
       to_offset
FROM rollcall_api.dead_letter_retry
JOIN unnest(%(partitions)s::integer[], %(offsets)s::bigint[], %(new_offsets)s::bigint[])
     AS moved (partition, "offset", new_offset) USING (partition, "offset")
WHERE topic = %(old)s
"""


class RetriedDeadLetters:
    """The retried dead letters of one topic, and their offsets in the topic of the next version."""

    def __init__(self, connection: psycopg.Connection, old: str, new: str) -> None:
        """``old`` and ``new`` name the topics; the session is in autocommit mode."""
        self._connection = connection
        self._topics = {"old": old, "new": new}
        row = connection.execute(_HAS_TABLE).fetchone()
        self._has_table = bool(row and row[0])
        found = connection.execute(_SELECT, self._topics).fetchall() if self._has_table else []
        self._retried: set[tuple[int, int]] = {(partition, offset) for partition, offset in found}
        self._moved: list[tuple[int, int, int]] = []

    def note(self, partition: int, offset: int, new_offset: int) -> None:
        """Note that a dead letter stands at this offset in the same partition of the new topic."""
        if (partition, offset) in self._retried:
            self._moved.append((partition, offset, new_offset))

    def carry(self) -> None:
        """Record the retries of all that were noted for the new topic, in place of earlier ones."""
        if not self._has_table:
            return
        columns = [list(column) for column in zip(*self._moved, strict=True)] or [[], [], []]
        names = ("partitions", "offsets", "new_offsets")
        with self._connection.transaction():
            self._connection.execute(_FORGET, self._topics)
            self._connection.execute(_CARRY, self._topics | dict(zip(names, columns, strict=True)))
