"""`python -m processor.builder`: builds projection instances beside the live one.

One builder works at a time, the one that holds an advisory lock; others wait to take over.
It takes what the registry asks for, what was begun before first; sees in `job-events` which
jobs are reverted, and asks for an instance without them where the live one has them; and drops
instances that nobody needs any more.
"""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from typing import TYPE_CHECKING, Final, LiteralString

import psycopg
import structlog
from psycopg import errors

from processor.builder.build import Build
from processor.builder.leave_out import hide_cancelled, leave_out_unopened
from processor.builder.reverts_follower import RevertsFollower
from processor.errors import (
    BuildFailedError,
    LogTruncatedError,
    NotReadyError,
    PassedStopError,
    RefusedToStartError,
    StoppedError,
    SupersededError,
)
from processor.kafka.log_description import describe_log
from processor.kafka.reconciliation_key import check_key
from processor.projection.session import connect, is_transient
from processor.runtime.garbage_collection import rare_collections
from processor.runtime.metrics import BUILDS
from processor.tables import instance_registry
from processor.tables.retry_backoff import RETRIED
from schemas.clients.errors import ClientError
from schemas.clients.job_events import at_current_version
from schemas.clients.metrics import POSTGRES_FAILURES
from schemas.clients.outages import tell_outages
from schemas.codec.registry_protocol import RegistryUnreachableError
from schemas.config.environment import SettingsError, read
from schemas.config.logs import configure_logging
from schemas.config.metrics import serve_metrics
from schemas.config.settings import Settings
from schemas.config.unknown import warn_of_unknown_settings
from schemas.runtime.essential import end_process_on_failure
from schemas.runtime.process import EXIT_REFUSED, stop_on_signals

if TYPE_CHECKING:
    from processor.tables.instance_registry import Instance
    from schemas.log.reverts import Reverts

APPLICATION: Final = "rollcall-builder"
_PAUSE_S: Final = 0.2
_RETRY_S: Final = 2.0
_SWEEP_EVERY: Final = 150
_UNUSED_S: Final = 3600.0
"""An audience as of some moment is dropped when nobody has read from it for so long."""
_TRY_LOCK: LiteralString = "SELECT pg_try_advisory_lock(hashtextextended('rollcall:builder', 0))"
_IS_THERE: LiteralString = "SELECT to_regclass('public.projection_instance') IS NOT NULL"
_LIVE_SIZE: LiteralString = """
SELECT pg_size_pretty(sum(pg_total_relation_size(pg_class.oid)))
FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace
WHERE nspname = %(schema)s AND relkind = 'r'
"""
_log = structlog.stdlib.get_logger("rollcall.builder")


class Builder:
    """Builds while it holds the lock, else waits for it."""

    def __init__(self, settings: Settings, stopping: threading.Event) -> None:
        self._settings = settings
        self._stopping = stopping

    def run(self) -> None:
        """Build until told to stop, through any loss of Postgres or Kafka.

        Raises:
            RefusedToStartError: the log is one for another reconciliation key.
        """
        while not self._stopping.is_set():
            try:
                self._settings = at_current_version(self._settings)
                check_key(self._settings)
                with (
                    connect(self._settings, APPLICATION) as connection,
                    contextlib.closing(RevertsFollower(self._settings)) as follower,
                ):
                    self._build_while_connected(connection, follower)
            except StoppedError:
                return
            except (
                NotReadyError,
                SupersededError,
                PassedStopError,  # another builder took the lock, which goes with the connection
                ClientError,
                RegistryUnreachableError,
            ) as error:
                _log.warning("building waits", reason=str(error))
            except psycopg.Error as error:
                if not is_transient(error):
                    raise
                POSTGRES_FAILURES.labels(type(error).__name__).inc()
                _log.warning("building waits", reason=str(error).strip())
            self._stopping.wait(_RETRY_S)

    def _build_while_connected(
        self, connection: psycopg.Connection, follower: RevertsFollower
    ) -> None:
        while not self._stopping.is_set() and not self._may_work(connection):
            self._stopping.wait(_RETRY_S)
        turns = 0
        while not self._stopping.is_set():
            try:
                reverts = follower.read()
            except LogTruncatedError as error:
                self._refuse_next(connection, error)
                continue
            if reverts.moves.moved_to is not None:
                return
            if not self._build_next(connection, reverts):
                self._stopping.wait(_PAUSE_S)
            if turns % _SWEEP_EVERY == 0:
                self._sweep(connection)
            turns += 1

    def _may_work(self, connection: psycopg.Connection) -> bool:
        """Return whether there is a registry, and no other builder at work."""
        cursor = connection.cursor()
        return _is_true(cursor, _IS_THERE) and _is_true(cursor, _TRY_LOCK)

    def _refuse_next(self, connection: psycopg.Connection, error: LogTruncatedError) -> None:
        """Fail the next request: nobody knows which jobs are undone, so nothing can be built."""
        instance = instance_registry.fetch_next_to_build(connection.cursor())
        if instance is None:
            self._stopping.wait(_RETRY_S)
        else:
            self._fail(connection, instance, str(error))

    def _build_next(self, connection: psycopg.Connection, reverts: Reverts) -> bool:
        """Build one instance, if one is wanted; whether one was."""
        instance = instance_registry.fetch_next_to_build(connection.cursor())
        if instance is None:
            return self._request_undo(connection, reverts)
        self._build(connection, instance, reverts)
        return True

    def _request_undo(self, connection: psycopg.Connection, reverts: Reverts) -> bool:
        """Ask for an instance that leaves out just the jobs that the log says; whether it did.

        Jobs that have not begun are left out of the tables in use.
        """
        active = instance_registry.fetch_active(connection.cursor())
        if active is None or active.reverted == reverts.now():
            return False
        hide_cancelled(connection, active, reverts)
        if leave_out_unopened(connection, active, reverts.now()):
            return True
        with connection.transaction(), connection.cursor() as cursor:
            if instance_registry.is_left_alone(cursor, "undo", reverts.now()):
                return False
            return instance_registry.request(cursor, "undo", "builder")

    def _build(self, connection: psycopg.Connection, instance: Instance, reverts: Reverts) -> None:
        log = _log.bind(number=instance.number, purpose=instance.purpose)
        log.info("building", state=instance.state)
        found = describe_log(self._settings)
        settings = self._settings.with_partitions(found.partitions)
        try:
            Build(settings, connection, instance, self._stopping.is_set).run(found, reverts)
        except BuildFailedError as error:
            self._fail(connection, instance, str(error), error.result)
        except RefusedToStartError as error:
            self._fail(connection, instance, str(error))
        except errors.DiskFull as error:
            self._fail(connection, instance, _disk_full(connection, error))
        else:
            BUILDS.labels(instance.purpose, "built").inc()
            return
        BUILDS.labels(instance.purpose, "failed").inc()
        if instance.purpose in RETRIED:
            with connection.transaction(), connection.cursor() as cursor:
                instance_registry.note_retry(cursor, instance, reverts.now())

    def _fail(
        self,
        connection: psycopg.Connection,
        instance: Instance,
        failure: str,
        result: dict[str, object] | None = None,
    ) -> None:
        _log.error("instance failed", number=instance.number, reason=failure)
        with connection.cursor() as cursor:
            # By itself, because only then its room is there for what is written next.
            instance_registry.drop_tables(cursor, instance.number)
            instance_registry.fail(cursor, instance.number, failure, result)

    def _sweep(self, connection: psycopg.Connection) -> None:
        retired_s = self._settings.generation_retention_hours * 3600
        expired = instance_registry.select_expired(
            connection.cursor(), retired_s=retired_s, unused_s=_UNUSED_S
        )
        for number in expired:
            try:
                with connection.transaction(), connection.cursor() as cursor:
                    cursor.execute("SET LOCAL lock_timeout = '200ms'")
                    instance_registry.drop(cursor, number)
            except errors.LockNotAvailable:
                continue  # somebody reads it: the next sweep tries again


def _disk_full(connection: psycopg.Connection, error: errors.DiskFull) -> str:
    """Say what is full, and how much room is needed."""
    with connection.cursor() as cursor:
        active = instance_registry.fetch_active(cursor)
        schema = "" if active is None else active.schema
        row = cursor.execute(_LIVE_SIZE, {"schema": schema}).fetchone()
    why = " ".join(str(error).split())
    return (
        f"DISK_FULL: the disk of Postgres has no room for a second set of tables ({why})."
        " What was built has been dropped, which gives its room back, and the tables in use go on."
        f" They take {row and row[0]}: make room for at least as much again."
    )


def _is_true(cursor: psycopg.Cursor, statement: LiteralString) -> bool:
    row = cursor.execute(statement).fetchone()
    return row is not None and bool(row[0])


def main() -> None:
    """Run one builder; exits 0 on SIGTERM or SIGINT, 78 where it refuses to start."""
    configure_logging()
    warn_of_unknown_settings(os.environ)
    end_process_on_failure()
    stopping = threading.Event()
    stop_on_signals(stopping)
    try:
        with rare_collections():
            settings = read(Settings, os.environ)
            serve_metrics(settings.metrics)
            tell_outages(settings)
            Builder(settings, stopping).run()
    except (RefusedToStartError, SettingsError) as error:
        _log.critical("refused to start", reason=str(error))
        sys.exit(EXIT_REFUSED)
