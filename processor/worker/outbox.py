"""The outbox on its way to Kafka: in order, at least once.

One sender at a time, chosen by an advisory lock that Postgres frees when the
session ends.  Rows are deleted after Kafka acknowledged them, so a crash in
between sends them again: a repeat, never a gap.

It looks at the tables all the time, so it is also who notices that others have
taken their place where no record comes that would be fenced.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, Final, LiteralString

import psycopg
import structlog
from psycopg import sql

from processor.projection.session import connect, is_transient
from processor.projection.write_outcomes import FORGET_OUTCOMES
from processor.tables.instance_registry import is_active
from schemas.clients.kafka import make_producer
from schemas.log.topics import MAX_DEAD_LETTER_BYTES
from schemas.read_model.tables import REPEAT_OFFSETS
from schemas.runtime.essential import EssentialThread

if TYPE_CHECKING:
    from confluent_kafka import Producer

    from processor.tables.generations import Generations
    from schemas.config.settings import Settings

_APPLICATION: Final = "rollcall-outbox"
_BATCH_ROWS: Final = 500
_PAUSE_S: Final = 0.1
_RETRY_S: Final = 2.0
_FLUSH_S: Final = 30.0
_SWEEP_EVERY: Final = 600
_TRY_LOCK: LiteralString = "SELECT pg_try_advisory_lock(hashtextextended(%(name)s, 0))"
_NEXT: LiteralString = """
SELECT id, topic, key, value, headers FROM {schema}.outbox ORDER BY id LIMIT %(limit)s
"""
_DONE: LiteralString = "DELETE FROM {schema}.outbox WHERE id = ANY(%(ids)s)"


class Outbox(EssentialThread):
    """Sends while it holds the lock, else waits for it; also clears what is old."""

    def __init__(self, settings: Settings, schema: str, generations: Generations) -> None:
        super().__init__("outbox", self._send_all)
        self._settings = settings
        self._schema = schema
        self._generations = generations
        self._has_switched = threading.Event()

    @property
    def has_switched(self) -> bool:
        """Whether another projection instance is the active one, seen within seconds."""
        return self._has_switched.is_set()

    def _send_all(self) -> None:
        """Send until stopped or switched, through any loss of Postgres or Kafka."""
        log = structlog.stdlib.get_logger("rollcall.processor")
        while not self.stopping.is_set():
            try:
                with connect(self._settings, _APPLICATION) as connection:
                    self._send_while_connected(connection)
            except (psycopg.Error, _NotAcknowledgedError) as error:
                if isinstance(error, psycopg.Error) and not is_transient(error):
                    raise
                log.warning("the outbox waits", reason=str(error).strip())
            self.stopping.wait(_RETRY_S)

    def _send_while_connected(self, connection: psycopg.Connection) -> None:
        while self._goes_on(connection) and not self._try_lock(connection):
            self.stopping.wait(_RETRY_S)
        producer = self._producer()
        turns = 0
        while self._goes_on(connection):
            if not self._send_batch(connection, producer):
                self.stopping.wait(_PAUSE_S)
            turns += 1
            if turns % _SWEEP_EVERY == 0:
                self._drop_old_generations(connection)
                connection.execute(self._sql(FORGET_OUTCOMES), {"window": REPEAT_OFFSETS})

    def _goes_on(self, connection: psycopg.Connection) -> bool:
        if not is_active(connection, self._schema):
            self._has_switched.set()
            self.stopping.set()
        return not self.stopping.is_set()

    def _send_batch(self, connection: psycopg.Connection, producer: Producer) -> int:
        rows = connection.execute(self._sql(_NEXT), {"limit": _BATCH_ROWS}).fetchall()
        failures: list[str] = []

        def note(error: Any, _message: Any) -> None:
            if error is not None:
                failures.append(str(error))

        for _, topic, key, value, headers in rows:
            producer.produce(topic, value, key, headers=headers, on_delivery=note)
        if producer.flush(_FLUSH_S) or failures:
            raise _NotAcknowledgedError(failures[0] if failures else "no answer from Kafka")
        if rows:
            connection.execute(self._sql(_DONE), {"ids": [row[0] for row in rows]})
        return len(rows)

    def _drop_old_generations(self, connection: psycopg.Connection) -> None:
        keep_s = self._settings.generation_retention_hours * 3600
        with connection.transaction(), connection.cursor() as cursor:
            cursor.execute("SET LOCAL lock_timeout = '200ms'")
            for generation in self._generations.expired(cursor, keep_s):
                self._generations.drop(cursor, generation)

    def _try_lock(self, connection: psycopg.Connection) -> bool:
        name = f"{_APPLICATION}:{self._schema}"
        row = connection.execute(_TRY_LOCK, {"name": name}).fetchone()
        return row is not None and bool(row[0])

    def _producer(self) -> Producer:
        return make_producer(
            self._settings.kafka,
            {
                "linger.ms": 5,
                "delivery.timeout.ms": 20_000,
                # A poison record may be as large as its topic takes; its copy must not be refused.
                "message.max.bytes": MAX_DEAD_LETTER_BYTES,
            },
        )

    def _sql(self, statement: LiteralString) -> sql.Composed:
        return sql.SQL(statement).format(schema=sql.Identifier(self._schema))


class _NotAcknowledgedError(Exception):
    """Kafka did not confirm a record; the whole batch is sent again."""
