"""Makes tables for a log being moved, and switches readers to them."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final, LiteralString

from psycopg import errors, sql

from deploy.log_migration import MoveFailedError, MoveRefusedError
from processor.kafka.log_description import describe_log
from processor.tables import instance_registry
from processor.tables.setup import make_tables
from schemas.read_model import tables as read_model
from schemas.rules.attributes import Attribute

if TYPE_CHECKING:
    from collections.abc import Sequence

    import psycopg

    from deploy.log_migration.erase.data_subject import DataSubject
    from processor.tables.instance_registry import Instance
    from schemas.config.settings import Settings

_KEY: LiteralString = "SELECT reconciliation_key FROM {schema}.projection"
_ATTRIBUTES: LiteralString = """
SELECT name, type, is_reconciliation_key, is_indexed FROM {schema}.attributes ORDER BY name
"""
_REFUSED: LiteralString = "SELECT job_id, record_number FROM {schema}.rejections"
_TOPIC: LiteralString = "SELECT topic FROM {schema}.projection"
_IS_BUILDING: LiteralString = """
SELECT purpose FROM public.projection_instance WHERE state IN ('requested', 'building') LIMIT 1
"""
_NEXT_NUMBER: LiteralString = """
SELECT nextval(pg_get_serial_sequence('public.projection_instance', 'number'))
"""
_REGISTER: LiteralString = """
INSERT INTO public.projection_instance
    (number, purpose, state, version, reverted_job_ids, requested_by, started_at, ready_at)
OVERRIDING SYSTEM VALUE
VALUES (%(number)s, 'rebuild', 'ready', %(version)s, %(reverted)s, %(command)s, now(), now())
"""
_ORPHANS: LiteralString = """
SELECT substr(nspname, 12)::integer FROM pg_namespace
WHERE nspname ~ '^projection_[0-9]{1,9}$'
  AND substr(nspname, 12)::integer NOT IN (SELECT number FROM public.projection_instance)
"""
_OTHERS: LiteralString = """
SELECT number FROM public.projection_instance WHERE state NOT IN ('active', 'dropped', 'failed')
"""
_FORGET_RESULTS: LiteralString = """
UPDATE public.projection_instance SET result = NULL WHERE lower(result::text) ~ %(pattern)s
"""
_UNSENT: LiteralString = "SELECT count(*) FROM {schema}.outbox"
_UNFINISHED: LiteralString = """
SELECT count(*) FROM unnest(%(job_ids)s::bigint[]) AS accepted (job_id)
WHERE NOT EXISTS (SELECT FROM {schema}.job
                  WHERE job.job_id = accepted.job_id AND finished_at IS NOT NULL)
"""
_SWITCH_S: Final = 60.0
_PAUSE_S: Final = 0.2


class Tables:
    """The projection instances, as a move needs them; calls block for Postgres."""

    def __init__(self, connection: psycopg.Connection) -> None:
        """``connection`` is in autocommit mode."""
        self._connection = connection

    def active(self) -> Instance:
        """Return the active instance.

        Raises:
            MoveRefusedError: there is none, or another version of the code made it.
        """
        with self._connection.cursor() as cursor:
            try:
                active = instance_registry.fetch_active(cursor)
            except errors.UndefinedTable:
                active = None
            if active is None:
                raise MoveRefusedError("There are no tables yet: start a processor first.")
            if active.version != read_model.VERSION:
                raise MoveRefusedError(
                    f"The tables are of version {active.version}, this code's of"
                    f" {read_model.VERSION}: finish the upgrade first."
                )
        return active

    def check_none_is_built(self) -> None:
        """Check that no other instance is requested or being built.

        Raises:
            MoveRefusedError: one is.
        """
        if row := self._connection.execute(_IS_BUILDING).fetchone():
            raise MoveRefusedError(f"Another projection is being built ({row[0]}): wait for it.")

    def topic(self, schema: str) -> str:
        """Return the topic that the tables were made from."""
        return str(self._value(_TOPIC, schema))

    def reconciliation_key(self, schema: str) -> str:
        """Return the reconciliation key of the log that the tables were made from."""
        return str(self._value(_KEY, schema))

    def attributes(self, schema: str) -> list[Attribute]:
        """Return the custom attributes that every partition knows."""
        statement = sql.SQL(_ATTRIBUTES).format(schema=sql.Identifier(schema))
        return [Attribute(*row) for row in self._connection.execute(statement).fetchall()]

    def refused_lines(self, schema: str) -> set[tuple[int, int]]:
        """Return the lines that had no effect, by job and record number."""
        statement = sql.SQL(_REFUSED).format(schema=sql.Identifier(schema))
        rows = self._connection.execute(statement).fetchall()
        return {(job_id, record_number) for job_id, record_number in rows}

    def next_offsets(self, schema: str) -> list[int]:
        """Return the offsets up to which the tables have read, by partition."""
        with self._connection.cursor() as cursor:
            return instance_registry.next_offsets(cursor, schema)

    def unsent(self, schema: str) -> int:
        """Return the number of statuses and dead letters not yet sent to Kafka."""
        return int(self._value(_UNSENT, schema))

    def unfinished(self, schema: str, job_ids: Sequence[int]) -> int:
        """Return the number of these jobs that have not ended."""
        return int(self._value(_UNFINISHED, schema, {"job_ids": list(job_ids)}))

    def drop_orphans(self) -> None:
        """Drop the schemas of interrupted moves, which the instance registry does not know."""
        for (number,) in self._connection.execute(_ORPHANS).fetchall():
            self.drop_schema(number)

    def make(self, new: Settings) -> int:
        """Make empty, unregistered tables for the new version of the log; return their number."""
        row = self._connection.execute(_NEXT_NUMBER).fetchone()
        assert row is not None, "it is one value"
        number = int(row[0])
        with self._connection.transaction(), self._connection.cursor() as cursor:
            make_tables(cursor, new, read_model.schema_name(number), describe_log(new))
        return number

    def switch(self, active: Instance, number: int, ends: Sequence[int], command: str) -> None:
        """Activate the new tables; both they and the active ones have read up to these ends.

        Raises:
            MoveFailedError: the active tables have changed, or a reader keeps a view locked.
        """
        deadline_s = time.monotonic() + _SWITCH_S
        while True:
            try:
                return self._switch(active, number, ends, command)
            except errors.LockNotAvailable as error:
                if time.monotonic() > deadline_s:
                    raise MoveFailedError("a reader holds a view of the tables") from error
                time.sleep(_PAUSE_S)

    def _switch(self, active: Instance, number: int, ends: Sequence[int], command: str) -> None:
        parameters = {
            "number": number,
            "version": read_model.VERSION,
            "reverted": active.reverted_job_ids,
            "command": command,
        }
        new = replace(active, number=number)
        with self._connection.transaction(), self._connection.cursor() as cursor:
            cursor.execute(instance_registry.LOCK)
            self.check_none_is_built()
            now = instance_registry.fetch_active(cursor)
            if now != active or instance_registry.hold(cursor, active) != list(ends):
                raise MoveFailedError("the tables have changed while they were compared")
            cursor.execute(_REGISTER, parameters)
            instance_registry.switch(cursor, active, new, None)

    def drop_others(self) -> None:
        """Drop all tables but the active ones."""
        with self._connection.cursor() as cursor:
            for (number,) in cursor.execute(_OTHERS).fetchall():
                instance_registry.drop(cursor, number)

    def drop_schema(self, number: int) -> None:
        """Drop tables that the instance registry does not know."""
        name = sql.Identifier(read_model.schema_name(number))
        self._connection.execute(sql.SQL("DROP SCHEMA IF EXISTS {name} CASCADE").format(name=name))

    def forget_results(self, subject: DataSubject) -> None:
        """Delete stored comparisons that list the data subject's key."""
        if subject.is_unambiguous:
            self._connection.execute(_FORGET_RESULTS, {"pattern": subject.pattern})

    def _value(
        self, statement: LiteralString, schema: str, parameters: dict[str, Any] | None = None
    ) -> Any:
        composed = sql.SQL(statement).format(schema=sql.Identifier(schema))
        row = self._connection.execute(composed, parameters).fetchone()
        assert row is not None, "these statements return one row"
        return row[0]
