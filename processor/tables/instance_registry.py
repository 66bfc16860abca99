"""The registry of projection instances, and the switch from one to another.

Every table of the read model belongs to one instance: a Postgres schema of its
own.  Workers write the active one, readers see it through the views in
``public``; others are built beside it from the log (:mod:`processor.builder`)
and may take its place.

An instance's life::

    requested → building → active → retired → dropped
                   │   └──→ ready  ───────────→ dropped
                   └──────→ failed ───────────→ (its schema is dropped at once)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, LiteralString

from psycopg import errors, sql
from psycopg.rows import class_row, tuple_row
from psycopg.types.json import Jsonb

from processor.errors import RefusedToStartError
from processor.tables.public_views import show
from processor.tables.retry_backoff import pause_s
from schemas.read_model import tables as read_model

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    import psycopg

LOCK: LiteralString = "SELECT pg_advisory_xact_lock(hashtextextended('rollcall:instances', 0))"
_SELECT: LiteralString = """
SELECT number, purpose, state, version, reverted_job_ids, preview_revert, preview_restore,
       as_of_time, as_of_job_id, stop_at, mends, requested_by
FROM public.projection_instance
"""
_ACTIVE: LiteralString = _SELECT + "WHERE state = 'active'"
_ONE: LiteralString = _SELECT + "WHERE number = %(number)s"
_NEXT_TO_BUILD: LiteralString = (
    _SELECT + "WHERE state IN ('building', 'requested') ORDER BY state, number LIMIT 1"
)
_REQUEST: LiteralString = """
INSERT INTO public.projection_instance (purpose, requested_by) VALUES (%(purpose)s, %(by)s)
RETURNING number
"""
_ADOPT: LiteralString = """
INSERT INTO public.projection_instance
    (number, purpose, state, version, reverted_job_ids, requested_by, activated_at)
OVERRIDING SYSTEM VALUE
VALUES (1, 'live', 'active', %(version)s, '{}', 'processor', now())
"""
_NUMBER_ON: LiteralString = """
SELECT setval(pg_get_serial_sequence('public.projection_instance', 'number'),
              (SELECT max(number) FROM public.projection_instance))
"""
_BEGIN: LiteralString = """
UPDATE public.projection_instance
SET state = 'building', version = %(version)s, reverted_job_ids = %(reverted)s,
    stop_at = %(stop_at)s, started_at = COALESCE(started_at, now())
WHERE number = %(number)s
"""
_NOTE: LiteralString = """
UPDATE public.projection_instance
SET records_done = %(done)s, records_total = %(total)s, step = %(step)s
WHERE number = %(number)s
"""
_READY: LiteralString = """
UPDATE public.projection_instance
SET state = 'ready', ready_at = now(), last_used_at = now(), result = %(result)s, step = NULL
WHERE number = %(number)s
"""
_FAIL: LiteralString = """
UPDATE public.projection_instance
SET state = 'failed', failure = %(failure)s, result = %(result)s, step = NULL
WHERE number = %(number)s
"""
_LAST_FAILURE: LiteralString = """
SELECT COALESCE((result -> 'retry' ->> 'failures')::integer, 1) AS failures,
       COALESCE((result -> 'retry' ->> 'nextTryAt')::timestamptz,
                requested_at + interval '1 minute') > now() AS is_left_alone
FROM (SELECT state, reverted_job_ids, result, requested_at FROM public.projection_instance
      WHERE purpose = %(purpose)s AND number < %(before)s ORDER BY number DESC LIMIT 1) AS last
WHERE state = 'failed'
  AND (%(reverted)s::bigint[] IS NULL
       OR reverted_job_ids IS NOT DISTINCT FROM %(reverted)s::bigint[])
"""
_NOTE_RETRY: LiteralString = """
UPDATE public.projection_instance
SET reverted_job_ids = COALESCE(reverted_job_ids, %(reverted)s::bigint[]),
    result = jsonb_build_object('retry', jsonb_build_object(
        'failures', %(failures)s::integer, 'failedAt', now(),
        'nextTryAt', now() + make_interval(secs => %(pause_s)s)))
WHERE number = %(number)s
"""
_MOST_NUMBER: Final = 2**31 - 1
_DROPPED: LiteralString = """
UPDATE public.projection_instance SET state = 'dropped' WHERE number = %(number)s
"""
_ACTIVATE: LiteralString = """
UPDATE public.projection_instance
SET state = CASE WHEN number = %(number)s THEN 'active' ELSE 'retired' END,
    activated_at = CASE WHEN number = %(number)s THEN now() ELSE activated_at END,
    retired_at = CASE WHEN number = %(number)s THEN NULL ELSE now() END,
    result = CASE WHEN number = %(number)s THEN %(result)s ELSE result END,
    step = NULL
WHERE number = ANY(%(numbers)s)
"""
_EXPIRED: LiteralString = """
SELECT number FROM public.projection_instance
WHERE (state = 'retired' AND retired_at < now() - make_interval(secs => %(retired_s)s))
   OR (state = 'ready' AND last_used_at < now() - make_interval(secs => %(unused_s)s))
ORDER BY number
"""
_IS_THERE: LiteralString = "SELECT to_regclass(%(table)s) IS NOT NULL"
_OLD_VERSION: LiteralString = "SELECT version FROM {schema}.projection"
_HELD_S: Final = 60
"""So long a transaction that holds the workers may wait for the builder: a healthy one gives its
replay a third of that, and then puts off what it was about."""
_END_IF_IDLE: LiteralString = """
SELECT set_config('idle_in_transaction_session_timeout', %(held_ms)s, true)
"""
_RAISE_EPOCHS: LiteralString = """
UPDATE {schema}.projection_offset SET epoch = epoch + 1
"""
_LATER_VERSIONS: LiteralString = """
UPDATE {new}.job AS job SET version = before.version + 1
FROM {old}.job AS before WHERE before.job_id = job.job_id
"""
_MOVE_OUTBOX: LiteralString = """
WITH moved AS (DELETE FROM {old}.outbox RETURNING id, topic, key, value, headers)
INSERT INTO {new}.outbox (topic, key, value, headers)
SELECT topic, key, value, headers FROM moved ORDER BY id
"""


@dataclass(frozen=True, slots=True)
class Instance:
    """A row of the registry, as far as building needs it."""

    number: int
    purpose: str
    state: str
    version: int | None
    reverted_job_ids: list[int] | None
    preview_revert: int | None
    preview_restore: int | None
    as_of_time: datetime | None
    as_of_job_id: int | None
    stop_at: list[int] | None
    mends: bool
    requested_by: str

    @property
    def schema(self) -> str:
        """The Postgres schema of its tables."""
        return read_model.schema_name(self.number)

    @property
    def reverted(self) -> frozenset[int]:
        """Jobs whose rows are left out."""
        return frozenset(self.reverted_job_ids or ())


def ensure_registry(cursor: psycopg.Cursor) -> None:
    """Make the registry where it is not there; adopts the one projection of earlier versions.

    Holds the registry's lock until the transaction ends.
    """
    cursor.execute(LOCK)
    was_there = _is_there(cursor, "public.projection_instance")
    cursor.execute(read_model.registry_ddl())
    if was_there:
        return
    first = read_model.schema_name(1)
    if _is_there(cursor, f"{first}.projection"):
        statement = sql.SQL(_OLD_VERSION).format(schema=sql.Identifier(first))
        row = cursor.execute(statement).fetchone()
        cursor.execute(_ADOPT, {"version": row and row[0]})
        cursor.execute(_NUMBER_ON)


def fetch_active(cursor: psycopg.Cursor) -> Instance | None:
    """Fetch the instance that workers write and readers see; None before the first."""
    return _fetch(cursor, _ACTIVE)


def fetch(cursor: psycopg.Cursor, number: int) -> Instance:
    """Fetch an instance that is in the registry."""
    found = _fetch(cursor, _ONE, {"number": number})
    assert found is not None, "rows of the registry are never deleted"
    return found


def is_active(connection: psycopg.Connection, schema: str) -> bool:
    """Return whether workers write, and readers see, the instance with this schema."""
    active = fetch_active(connection.cursor())
    return active is not None and active.schema == schema


def adopt_first(cursor: psycopg.Cursor) -> Instance:
    """Register instance 1 as the active one: for a log without any tables yet."""
    cursor.execute(_ADOPT, {"version": read_model.VERSION})
    cursor.execute(_NUMBER_ON)
    found = fetch_active(cursor)
    assert found is not None, "it has just been written"
    return found


def fetch_next_to_build(cursor: psycopg.Cursor) -> Instance | None:
    """Fetch what was begun before, else the oldest request."""
    return _fetch(cursor, _NEXT_TO_BUILD)


def request(cursor: psycopg.Cursor, purpose: str, requested_by: str) -> bool:
    """Ask the builder for an instance; False where one at a time is allowed and one is at work."""
    try:
        with cursor.connection.transaction():
            cursor.execute(_REQUEST, {"purpose": purpose, "by": requested_by})
    except errors.UniqueViolation:
        return False
    return True


def begin(
    cursor: psycopg.Cursor, number: int, reverted: Iterable[int], stop_at: list[int] | None
) -> None:
    """Note what the instance is built from."""
    parameters = {
        "number": number,
        "version": read_model.VERSION,
        "reverted": sorted(reverted),
        "stop_at": stop_at,
    }
    cursor.execute(_BEGIN, parameters)


def note_progress(cursor: psycopg.Cursor, number: int, *, step: str, done: int, total: int) -> None:
    """Let whoever waits see how far it is, in records."""
    cursor.execute(_NOTE, {"number": number, "step": step, "done": done, "total": total})


def finish(cursor: psycopg.Cursor, number: int, result: dict[str, Any] | None) -> None:
    """Leave the instance to readers."""
    cursor.execute(_READY, {"number": number, "result": _json(result)})


def fail(
    cursor: psycopg.Cursor, number: int, failure: str, result: dict[str, Any] | None = None
) -> None:
    """Say why the instance, whose tables are dropped, came to nothing."""
    cursor.execute(_FAIL, {"number": number, "failure": failure, "result": _json(result)})


def note_retry(cursor: psycopg.Cursor, instance: Instance, reverted: Iterable[int]) -> None:
    """Say of an instance that has failed, and was to leave out these jobs, when it is retried."""
    wanted = sorted(reverted)
    before = _last_failure(cursor, instance.purpose, wanted, before=instance.number)
    failures = 1 if before is None else before[0] + 1
    parameters = {"failures": failures, "pause_s": pause_s(failures), "reverted": wanted}
    cursor.execute(_NOTE_RETRY, parameters | {"number": instance.number})


def is_left_alone(
    cursor: psycopg.Cursor, purpose: str, reverted: Iterable[int] | None = None
) -> bool:
    """Return whether the last such instance failed, and it is too early to try again.

    One that is to leave out other jobs than those that ``reverted`` names is another one.
    """
    wanted = None if reverted is None else sorted(reverted)
    last = _last_failure(cursor, purpose, wanted, before=_MOST_NUMBER)
    return last is not None and last[1]


def _last_failure(
    cursor: psycopg.Cursor, purpose: str, reverted: list[int] | None, *, before: int
) -> tuple[int, bool] | None:
    """Return how often it has failed in a row, and whether it is too early to try again."""
    parameters = {"purpose": purpose, "reverted": reverted, "before": before}
    with cursor.connection.cursor(row_factory=tuple_row) as rows:
        return rows.execute(_LAST_FAILURE, parameters).fetchone()


def drop(cursor: psycopg.Cursor, number: int) -> None:
    """Drop an instance's tables; waits for readers as long as lock_timeout says."""
    drop_tables(cursor, number)
    cursor.execute(_DROPPED, {"number": number})


def drop_tables(cursor: psycopg.Cursor, number: int) -> None:
    """Drop an instance's tables alone: what was found out with them stays to be read."""
    _drop_schema(cursor, read_model.schema_name(number))


def has_tables(cursor: psycopg.Cursor, number: int) -> bool:
    """Return whether the instance's tables are there."""
    return _is_there(cursor, f"{read_model.schema_name(number)}.projection")


def select_expired(cursor: psycopg.Cursor, *, retired_s: float, unused_s: float) -> list[int]:
    """Instances retired, or not read from, for longer than that."""
    cursor.execute(_EXPIRED, {"retired_s": retired_s, "unused_s": unused_s})
    return [row[0] for row in cursor.fetchall()]


def hold(cursor: psycopg.Cursor, active: Instance) -> list[int]:
    """Stop all workers of the instance until the transaction ends; its next_offsets.

    Their epochs are raised, so no batch of theirs is written after it.
    Where who holds them is frozen, or has vanished, Postgres ends its session within a minute.
    """
    schema = sql.Identifier(active.schema)
    cursor.execute(_END_IF_IDLE, {"held_ms": str(_HELD_S * 1000)})
    cursor.execute(sql.SQL(_RAISE_EPOCHS).format(schema=schema))
    return next_offsets(cursor, active.schema)


_NEXT_OFFSETS: Final[LiteralString] = """
SELECT next_offset FROM {schema}.projection_offset ORDER BY partition
"""


def next_offsets(cursor: psycopg.Cursor, schema: str) -> list[int]:
    """Return the tables' ``next_offset`` by partition."""
    cursor.execute(sql.SQL(_NEXT_OFFSETS).format(schema=sql.Identifier(schema)))
    return [row[0] for row in cursor.fetchall()]


def switch(
    cursor: psycopg.Cursor, old: Instance, new: Instance, result: dict[str, Any] | None
) -> None:
    """Put the new instance in the old one's place, in the transaction that holds the old one.

    What the old one had to send is sent by the new one, and every job's version goes on from
    the old one's, so that its statuses never go back.
    """
    names = {"old": sql.Identifier(old.schema), "new": sql.Identifier(new.schema)}
    for statement in (_LATER_VERSIONS, _MOVE_OUTBOX):
        cursor.execute(sql.SQL(statement).format(**names))
    show(cursor, new.schema)
    parameters = {
        "number": new.number,
        "numbers": [old.number, new.number],
        "result": _json(result),
    }
    # The old one first: only one row may be active at any instant of the statement's index.
    cursor.execute(_ACTIVATE, parameters | {"numbers": [old.number]})
    cursor.execute(_ACTIVATE, parameters | {"numbers": [new.number]})


def check_version(active: Instance) -> bool:
    """Return whether the active tables are this code's; False where they are of an earlier version.

    Raises:
        RefusedToStartError: they are of a later one.
    """
    version = active.version or 0
    if version > read_model.VERSION:
        raise RefusedToStartError(
            f"The tables are of version {version}, made by later code; this code knows"
            f" {read_model.VERSION}. Finish the upgrade."
        )
    return version == read_model.VERSION


def _fetch(
    cursor: psycopg.Cursor, statement: LiteralString, parameters: dict[str, Any] | None = None
) -> Instance | None:
    with cursor.connection.cursor(row_factory=class_row(Instance)) as rows:
        return rows.execute(statement, parameters).fetchone()


def _is_there(cursor: psycopg.Cursor, table: str) -> bool:
    row = cursor.execute(_IS_THERE, {"table": table}).fetchone()
    return row is not None and bool(row[0])


def _drop_schema(cursor: psycopg.Cursor, schema: str) -> None:
    statement = sql.SQL("DROP SCHEMA IF EXISTS {schema} CASCADE")
    cursor.execute(statement.format(schema=sql.Identifier(schema)))


def _json(result: dict[str, Any] | None) -> Jsonb | None:
    return None if result is None else Jsonb(result)
