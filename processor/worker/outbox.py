"""Sends the outbox to Kafka: in order, at least once.

One sender at a time, chosen by an advisory lock that Postgres frees when the
session ends.  Rows are deleted after Kafka acknowledged them, so a crash in
between sends them again: a repeat, never a gap.
Who waits for the lock looks at what is to be sent too.  Where that does not change, and the
sender's session has nothing to say either, as one of a frozen process, the session is ended.
Where a record is too large for its topic, its batch is sent again one record at a time, so that
a shorter one takes its place in the order (:mod:`processor.worker.shortening`).

It looks at the tables all the time, so it is also who notices that others have
taken their place where no record comes that would be fenced.
"""

from __future__ import annotations

import itertools
import threading
import time
from typing import TYPE_CHECKING, Final, LiteralString

import psycopg
import structlog
from confluent_kafka import KafkaError, KafkaException
from psycopg import sql
from psycopg.rows import class_row

from processor.projection.session import connect, is_transient
from processor.projection.write_outcomes import FORGET_OUTCOMES
from processor.runtime.metrics import (
    OUTBOX_FAILURES,
    OUTBOX_SENT,
    OUTBOX_STUCK,
    OUTBOX_WAITING,
)
from processor.tables.instance_registry import is_active
from processor.worker.shortening import OutboxRow, shortened
from schemas.clients.kafka import make_producer
from schemas.clients.kafka_statistics import statistics
from schemas.clients.metrics import POSTGRES_FAILURES
from schemas.log.topics import MAX_DEAD_LETTER_BYTES
from schemas.read_model.tables import REPEAT_OFFSETS
from schemas.runtime.essential import EssentialThread

if TYPE_CHECKING:
    from collections.abc import Sequence

    from confluent_kafka import Message, Producer

    from processor.tables.generations import Generations
    from schemas.config.settings import Settings

_APPLICATION: Final = "rollcall-outbox"
_BATCH_ROWS: Final = 500
_BATCH_BYTES: Final = 32 << 20
_PAUSE_S: Final = 0.1
_RETRY_S: Final = 2.0
_FLUSH_S: Final = 30.0
_DELIVERY_S: Final = 20
_PATIENCE_S: Final = 30.0
"""So long a sender may say nothing to Postgres: one at work does all the time, but while it waits
for Kafka's answer, which it gives up before."""
_SWEEP_EVERY: Final = 600
_TRY_LOCK: LiteralString = "SELECT pg_try_advisory_lock(hashtextextended(%(name)s, 0))"
# By who holds the lock of this name. A frozen client's backend is idle, in a transaction or not,
# or hands it an answer that it does not take; one at work on a statement is let be.
_END_SENDER: LiteralString = """
SELECT pg_terminate_backend(pid)
FROM pg_stat_activity
WHERE pid <> pg_backend_pid() AND starts_with(application_name, %(application)s)
  AND state_change < clock_timestamp() - make_interval(secs => %(patience_s)s)
  AND (state <> 'active' OR wait_event = 'ClientWrite')
  AND pid IN (SELECT pid FROM pg_locks JOIN pg_database ON pg_database.oid = database
              WHERE locktype = 'advisory' AND objsubid = 1 AND granted
                AND datname = current_database()
                AND (classid::bigint << 32 | objid::bigint) = hashtextextended(%(name)s, 0))
"""
# At least one; of large ones no more than a batch's memory allows.
_NEXT: LiteralString = """
SELECT id, topic, key, value, headers
FROM (SELECT *, sum(COALESCE(octet_length(value), 0)) OVER (ORDER BY id) AS bytes
      FROM (SELECT * FROM {schema}.outbox ORDER BY id LIMIT %(rows)s) AS next) AS counted
WHERE bytes - COALESCE(octet_length(value), 0) < %(bytes)s
ORDER BY id
"""
_WAITING: LiteralString = "SELECT min(id), max(id) FROM {schema}.outbox"
_TOO_LARGE: Final = frozenset({KafkaError.MSG_SIZE_TOO_LARGE, KafkaError.RECORD_LIST_TOO_LARGE})
_PASSING: Final = frozenset(
    {
        "_ALL_BROKERS_DOWN",
        "_MSG_TIMED_OUT",
        "_QUEUE_FULL",
        "_RESOLVE",
        "_TIMED_OUT",
        "_TRANSPORT",
        "_UNKNOWN_TOPIC",  # the API makes it
        "UNKNOWN_TOPIC_OR_PART",
    }
)
"""Names of librdkafka's errors that time heals, besides those that it calls retriable."""
_DONE: LiteralString = "DELETE FROM {schema}.outbox WHERE id = ANY(%(ids)s)"
_SOURCE: Final = ("source-topic", "source-partition", "source-offset")
_log = structlog.stdlib.get_logger("rollcall.processor")


class Outbox(EssentialThread):
    """Sends while it holds the lock, else waits for it; also clears what is old."""

    def __init__(
        self,
        settings: Settings,
        schema: str,
        generations: Generations,
        *,
        patience_s: float = _PATIENCE_S,
    ) -> None:
        """``patience_s``: how long a sender that does nothing is waited for."""
        super().__init__("outbox", self._send_all)
        self._patience_s = patience_s
        self._settings = settings
        self._schema = schema
        self._generations = generations
        self._has_switched = threading.Event()
        self._producer: Producer | None = None
        self._next: tuple[int, float] | None = None
        """The id of the record that is sent next, and since when it has been the next."""
        OUTBOX_STUCK.set_function(self._stuck_s)

    @property
    def has_switched(self) -> bool:
        """True where another projection instance is the active one, seen within seconds."""
        return self._has_switched.is_set()

    def _send_all(self) -> None:
        """Send until stopped or switched, through any loss of Postgres or Kafka."""
        while not self.stopping.is_set():
            try:
                with connect(self._settings, _APPLICATION) as connection:
                    self._send_while_connected(connection)
            except (psycopg.Error, _NotAcknowledgedError, BufferError) as error:
                if isinstance(error, psycopg.Error) and not is_transient(error):
                    raise
                if isinstance(error, psycopg.Error):
                    POSTGRES_FAILURES.labels(type(error).__name__).inc()
                self._discard_producer()
                OUTBOX_FAILURES.inc()
                _log.warning("the outbox waits", reason=str(error).strip())
            self.stopping.wait(_RETRY_S)

    def _send_while_connected(self, connection: psycopg.Connection) -> None:
        while self._goes_on(connection) and not self._try_lock(connection):
            self._note_waiting(connection)
            if self._stuck_s() >= self._patience_s:
                self._end_frozen_sender(connection)
            self.stopping.wait(_RETRY_S)
        turns = 0
        while self._goes_on(connection):
            if not self._send_batch(connection):
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

    def _send_batch(self, connection: psycopg.Connection) -> int:
        parameters = {"rows": _BATCH_ROWS, "bytes": _BATCH_BYTES}
        cursor = connection.cursor(row_factory=class_row(OutboxRow))
        records = cursor.execute(self._sql(_NEXT), parameters).fetchall()
        if records:
            self._note_waiting(connection)
        else:
            self._note_empty()
        try:
            self._send(records)
        except _TooLargeError:
            # From the first on: what was taken comes once more, and the order is kept.
            for record in records:
                self._send_in_some_form(record)
                self._note_sent(connection, [record])
        else:
            self._note_sent(connection, records)
        return len(records)

    def _note_sent(self, connection: psycopg.Connection, records: Sequence[OutboxRow]) -> None:
        if records:
            connection.execute(self._sql(_DONE), {"ids": [record.id for record in records]})
            OUTBOX_SENT.inc(len(records))

    def _note_waiting(self, connection: psycopg.Connection) -> None:
        """Set the metrics; ids come in order, so the first and the last tell how many wait."""
        first, last = connection.execute(self._sql(_WAITING)).fetchone() or (None, None)
        if first is None:
            self._note_empty()
            return
        if self._next is None or self._next[0] != first:
            self._next = (first, time.monotonic())
        OUTBOX_WAITING.set(last - first + 1)

    def _note_empty(self) -> None:
        self._next = None
        OUTBOX_WAITING.set(0)

    def _stuck_s(self) -> float:
        waiting = self._next
        return 0.0 if waiting is None else time.monotonic() - waiting[1]

    def _send_in_some_form(self, record: OutboxRow) -> None:
        forms = itertools.chain([record], shortened(record))
        if not any(self._is_taken(form, record) for form in forms):
            raise _TooLargeError(f"{record.topic} takes not even the shortest form of a record")

    def _is_taken(self, form: OutboxRow, whole: OutboxRow) -> bool:
        try:
            self._send([form])
        except _TooLargeError:
            return False
        if form is not whole:
            _log.error(
                "record shortened: it is too large for its topic",
                topic=form.topic,
                whole_bytes=whole.size_bytes,
                source=[value for name, value in whole.headers.items() if name in _SOURCE],
            )
        return True

    def _send(self, records: Sequence[OutboxRow]) -> None:
        """Send the rows; all are acknowledged on return.

        Raises:
            _TooLargeError: one never will be; what became of the others is not known.
            _NotAcknowledgedError: some may be later.
            KafkaException: something that time does not heal.
        """
        producer = self._producer = self._producer or self._make_producer()
        failures: list[KafkaError] = []

        def note(error: KafkaError | None, _message: Message) -> None:
            if error is not None:
                failures.append(error)

        try:
            for record in records:
                producer.produce(
                    record.topic,
                    record.value,
                    record.key,
                    headers=dict(record.headers),
                    on_delivery=note,
                )
        except KafkaException as error:
            failures.append(error.args[0])
        if producer.flush(_FLUSH_S) or failures:
            failure = _failure_of(failures)
            self._discard_producer()
            raise failure

    def _discard_producer(self) -> None:
        """Make a new producer next: what this one does after a gap in its sequence is not known."""
        if self._producer is not None:
            self._producer.purge()
            self._producer.flush(_RETRY_S)
            self._producer = None

    def _drop_old_generations(self, connection: psycopg.Connection) -> None:
        keep_s = self._settings.generation_retention_hours * 3600
        with connection.transaction(), connection.cursor() as cursor:
            cursor.execute("SET LOCAL lock_timeout = '200ms'")
            for generation in self._generations.expired(cursor, keep_s):
                self._generations.drop(cursor, generation)

    def _try_lock(self, connection: psycopg.Connection) -> bool:
        row = connection.execute(_TRY_LOCK, {"name": self._lock_name}).fetchone()
        return row is not None and bool(row[0])

    def _end_frozen_sender(self, connection: psycopg.Connection) -> None:
        parameters = {"application": _APPLICATION, "name": self._lock_name}
        ended = connection.execute(_END_SENDER, parameters | {"patience_s": self._patience_s})
        if ended.rowcount:
            _log.warning("ending the session that holds up the outbox", waited_s=self._stuck_s())

    @property
    def _lock_name(self) -> str:
        return f"{_APPLICATION}:{self._schema}"

    def _make_producer(self) -> Producer:
        return make_producer(
            self._settings.kafka,
            statistics("outbox")
            | {
                "linger.ms": 5,
                "delivery.timeout.ms": _DELIVERY_S * 1000,
                # A poison record may be as large as its topic takes; its copy must not be refused.
                "message.max.bytes": MAX_DEAD_LETTER_BYTES,
            },
        )

    def _sql(self, statement: LiteralString) -> sql.Composed:
        return sql.SQL(statement).format(schema=sql.Identifier(self._schema))


class _NotAcknowledgedError(Exception):
    """Kafka did not confirm a record; the whole batch is sent again."""


class _TooLargeError(Exception):
    """A record of the batch is larger than its topic takes."""


def _failure_of(failures: Sequence[KafkaError]) -> Exception:
    """Return the first failure that time does not heal, else one to wait for."""
    for error in failures:
        if not (error.code() in _TOO_LARGE or error.name() in _PASSING or error.retriable()):
            return KafkaException(error)
    too_large = [error for error in failures if error.code() in _TOO_LARGE]
    if too_large:
        return _TooLargeError(str(too_large[0]))
    return _NotAcknowledgedError(str(failures[0]) if failures else "no answer from Kafka")
