"""Writes statuses and dead letters to the outbox, in the transaction that they are about."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, LiteralString

import structlog
from psycopg import sql
from psycopg.types.json import Jsonb

from processor.runtime.metrics import DEAD_LETTERS
from schemas.codec import codec

if TYPE_CHECKING:
    import psycopg

    from processor.decoding.batch import DeadLetter
    from processor.projection.projection import Projection
    from schemas.events import JobStatus

_LOGGED_PLACES: Final = 5
_log = structlog.stdlib.get_logger("rollcall.processor")
_TO_OUTBOX: LiteralString = """
INSERT INTO {schema}.outbox (topic, key, value, headers)
VALUES (%(topic)s, %(key)s, %(value)s, %(headers)s)
"""


class OutboxWriter:
    """Adds to the outbox of one transaction; a silent projection adds no dead letters."""

    def __init__(self, projection: Projection, cursor: psycopg.Cursor) -> None:
        self._projection = projection
        self._topics = projection.settings.topics
        self._cursor = cursor
        self._dead_letters: dict[str, list[str]] = {}
        """Where those added stand in the log, by reason."""

    def add_status(self, status: JobStatus) -> None:
        """Add a job's status."""
        key = str(status.job_id).encode()
        self._add(self._topics.job_status.name, key, codec.encode(status), {})

    def add_dead_letter(self, dead_letter: DeadLetter, partition: int) -> None:
        """Add a record of the partition that is not applied, as it came, with its reason."""
        if self._projection.is_silent:
            return
        place = f"{partition}-{dead_letter.offset}"
        self._dead_letters.setdefault(dead_letter.code, []).append(place)
        headers = {
            "reason": dead_letter.code,
            "detail": dead_letter.detail,
            "source-topic": self._topics.user_events.name,
            "source-partition": str(partition),
            "source-offset": str(dead_letter.offset),
        }
        self._add(self._topics.dead_letters.name, dead_letter.key, dead_letter.value, headers)

    def note_dead_letters(self) -> None:
        """Count and log those that have been committed, the first of each reason by their place."""
        for code, places in self._dead_letters.items():
            DEAD_LETTERS.labels(code).inc(len(places))
            _log.warning(
                "records became dead letters: `rollcall dead-letters` shows why",
                code=code,
                records=len(places),
                places=places[:_LOGGED_PLACES],
            )

    def _add(
        self, topic: str, key: bytes | None, value: bytes | None, headers: dict[str, str]
    ) -> None:
        parameters = {"topic": topic, "key": key, "value": value, "headers": Jsonb(headers)}
        schema = sql.Identifier(self._projection.schema)
        self._cursor.execute(sql.SQL(_TO_OUTBOX).format(schema=schema), parameters)
