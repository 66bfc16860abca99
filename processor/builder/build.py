"""Builds one projection instance from the log, beside the live one, then compares or switches.

By purpose:

- ``rebuild``, ``verify``: catch up with the live tables, compare at equal offsets; a rebuild
  then switches where all is equal (or where it ``mends``), a verification is dropped;
- ``upgrade``, ``undo``: catch up and switch;
- ``preview``: catch up, report what an undo would change, and be dropped;
- ``as_of``: stop at the offsets asked for, and be there for readers.

What was begun is gone on with after any end of the process: the registry has what the instance
is built from, and its own ``next_offset`` how far it is.
"""

from __future__ import annotations

import contextlib
import time
from concurrent.futures import ThreadPoolExecutor, wait
from typing import TYPE_CHECKING, Any, Final, LiteralString

import structlog
from psycopg import errors, sql

from processor.builder.comparison_report import describe_comparison
from processor.builder.log_offsets import check_log_is_whole, offsets_at, select_keys
from processor.builder.parallel_replay import Replays
from processor.builder.table_comparison import Side, differences, fingerprint
from processor.builder.undo_preview import describe_change, note_touched_keys
from processor.errors import BuildFailedError, StoppedError
from processor.projection.jobs import announce_changed
from processor.projection.session import connect
from processor.runtime.metrics import BUILD_DONE
from processor.tables import instance_registry
from processor.tables.setup import check_tables, make_tables

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import psycopg

    from processor.builder.table_comparison import Fingerprint
    from processor.kafka.log_description import Log
    from processor.tables.instance_registry import Instance
    from schemas.config.settings import Settings
    from schemas.log.reverts import Reverts

_CLOSE_RECORDS: Final = 20_000
"""So few left to project are projected while the live workers wait."""
_SWITCH_S: Final = 20.0
"""So long live workers may wait for a switch before it is put off."""
_PAUSE_S: Final = 0.5
_POLL_S: Final = 0.1
_PROGRESS_EVERY_S: Final = 0.5
SNAPSHOT: Final = "rollcall-builder-snapshot"
_COMPARED: Final = frozenset({"rebuild", "verify"})
_SWITCHED: Final = frozenset({"rebuild", "upgrade", "undo"})
_JOB_RANGES: Final[LiteralString] = """
SELECT partition, opened_offset, sealed_offset + 1 FROM {schema}.job_partition
WHERE job_id = %(job_id)s AND sealed_offset IS NOT NULL ORDER BY partition
"""


class Build:
    """One instance on its way; ``connection`` is used by nobody else meanwhile."""

    def __init__(
        self,
        settings: Settings,
        connection: psycopg.Connection,
        instance: Instance,
        should_stop: Callable[[], bool],
    ) -> None:
        self._settings = settings
        self._connection = connection
        self._instance = instance
        self._should_stop = should_stop
        self._step = "replaying"
        self._noted_at_s = 0.0
        self._log = structlog.stdlib.get_logger("rollcall.builder").bind(
            number=instance.number, purpose=instance.purpose
        )

    def run(self, log: Log, reverts: Reverts) -> None:
        """Build it to its end.

        Raises:
            BuildFailedError: it cannot be, and why; nothing of it is left to be used.
            StoppedError: told to stop.
            ProcessorError, psycopg.Error, ClientError: as those who read the log and write
                the tables raise.
        """
        active = self._active()
        self._begin(active, log, reverts)
        with contextlib.closing(self._replays()) as replays:
            if self._instance.purpose == "as_of":
                self._replay_to(replays, self._instance.stop_at or [])
                instance_registry.finish(self._connection.cursor(), self._instance.number, None)
                return
            self._catch_up(replays, active)
            result = self._result(replays, active)
            if self._instance.purpose in _SWITCHED:
                self._switch(replays, active, result)
            else:
                with self._connection.transaction(), self._connection.cursor() as cursor:
                    instance_registry.finish(cursor, self._instance.number, result)
                    instance_registry.drop_tables(cursor, self._instance.number)
        self._log.info("instance built", step=self._step)

    def _active(self) -> Instance:
        active = instance_registry.fetch_active(self._connection.cursor())
        if active is None:
            raise BuildFailedError("there is no live projection yet: start a processor first")
        return active

    def _begin(self, active: Instance, log: Log, reverts: Reverts) -> None:
        """Note what it is built from and make its tables; once begun, that stays."""
        if self._instance.state == "requested":
            check_log_is_whole(self._settings)
            reverted = self._reverted(active, reverts)
            stop_at = self._stop_at(active, reverts)
            with self._connection.transaction(), self._connection.cursor() as cursor:
                make_tables(cursor, self._settings, self._instance.schema, log)
                instance_registry.begin(cursor, self._instance.number, reverted, stop_at)
            self._instance = instance_registry.fetch(
                self._connection.cursor(), self._instance.number
            )
        elif not instance_registry.has_tables(self._connection.cursor(), self._instance.number):
            # Dropped when it failed, and then its builder died before it could say so.
            raise BuildFailedError("it has failed before; the builder's log says why")
        with self._connection.cursor() as cursor:
            check_tables(cursor, self._settings, self._instance.schema, log)

    def _reverted(self, active: Instance, reverts: Reverts) -> frozenset[int]:
        """Return the jobs that it leaves out."""
        instance = self._instance
        match instance.purpose:
            case "as_of" if instance.as_of_time is not None:
                return reverts.at_time(instance.as_of_time)
            case "as_of":
                return reverts.before_job(instance.as_of_job_id or 0)
            case "preview":
                kept = reverts.now() - {instance.preview_restore or 0}
                return kept if instance.preview_revert is None else kept | {instance.preview_revert}
            case "verify" | "rebuild":
                # What is compared must mean the same: an undo that only the log knows yet is
                # built for itself.
                return active.reverted
            case _:
                return reverts.now()

    def _stop_at(self, active: Instance, reverts: Reverts) -> list[int] | None:
        """Return where an instance as of some moment ends, by partition."""
        if self._instance.as_of_time is not None:
            return offsets_at(self._settings, self._instance.as_of_time)
        job_id = self._instance.as_of_job_id
        if job_id is None:
            return None
        ranges = self._job_ranges(active, job_id)
        if not reverts.is_known(job_id) or len(ranges) < self._partitions:
            raise BuildFailedError(f"job {job_id} is unknown or has not ended")
        return [end for _, _, end in ranges]

    @property
    def _partitions(self) -> int:
        return self._settings.topics.user_events.partitions

    def _job_ranges(self, active: Instance, job_id: int) -> list[tuple[int, int, int]]:
        """Return by partition where the job's records begin and end."""
        statement = sql.SQL(_JOB_RANGES).format(schema=sql.Identifier(active.schema))
        return self._connection.execute(statement, {"job_id": job_id}).fetchall()

    def _replays(self) -> Replays:
        return Replays(self._settings, self._instance.schema, reverted=self._instance.reverted)

    def _catch_up(self, replays: Replays, active: Instance) -> None:
        """Come so close to the live tables that the rest is projected in no time."""
        while True:
            target = self._next_offsets(active.schema)
            self._replay_to(replays, target)
            if sum(self._next_offsets(active.schema)) - sum(target) <= _CLOSE_RECORDS:
                return

    def _next_offsets(self, schema: str) -> list[int]:
        return instance_registry.next_offsets(self._connection.cursor(), schema)

    def _replay_to(
        self, replays: Replays, stop_at: Sequence[int], *, within_s: float | None = None
    ) -> None:
        """Project up to these offsets.

        Raises:
            StoppedError: told to stop before.
            TimeoutError: it took longer than ``within_s``.
        """
        until_s = None if within_s is None else time.monotonic() + within_s

        def should_stop() -> bool:
            return self._should_stop() or (until_s is not None and time.monotonic() > until_s)

        def note(done: int) -> None:
            # Nothing may be written by a session that holds the live workers.
            if until_s is None:
                self._note(done, sum(stop_at))

        if not replays.run(stop_at, note, should_stop):
            raise StoppedError if self._should_stop() else TimeoutError

    def _note(self, done: int, total: int) -> None:
        now_s = time.monotonic()
        if now_s - self._noted_at_s >= _PROGRESS_EVERY_S or done >= total:
            self._noted_at_s = now_s
            BUILD_DONE.set(done / total if total else 1)
            instance_registry.note_progress(
                self._connection.cursor(),
                self._instance.number,
                step=self._step,
                done=done,
                total=total,
            )

    def _enter(self, step: str) -> None:
        self._step = step
        done = sum(self._next_offsets(self._instance.schema))
        self._noted_at_s = 0.0
        self._note(done, done)

    def _result(self, replays: Replays, active: Instance) -> dict[str, Any] | None:
        if self._instance.purpose in _COMPARED:
            self._enter("comparing")
            return self._compare(replays, active)
        if self._instance.purpose == "preview":
            self._enter("comparing")
            return self._preview(replays, active)
        return None

    def _compare(self, replays: Replays, active: Instance) -> dict[str, Any]:
        """Compare live and new tables at equal offsets, while live work goes on.

        A snapshot of the live tables has its own offsets, and the new tables go to exactly those.

        Raises:
            BuildFailedError: they differ, and the instance is not to mend that.
        """
        with connect(self._settings, SNAPSHOT) as session, self._connection.cursor() as cursor:
            session.execute("BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY")
            live_side = Side(session.cursor(), active.schema)
            new_side = Side(cursor, self._instance.schema)
            self._replay_to(
                replays, instance_registry.next_offsets(live_side.cursor, active.schema)
            )
            live, new = self._fingerprints(live_side, new_side)
            found = differences(live_side, live, new_side, new)
        result = describe_comparison(live, new, found)
        if found and self._instance.purpose == "rebuild" and not self._instance.mends:
            raise BuildFailedError(
                "the live tables are not what the log says; nothing was switched", result
            )
        return result

    def _fingerprints(self, *sides: Side) -> list[Fingerprint]:
        """Take one of each side, all at the same time.

        Raises:
            StoppedError: told to stop before.
        """
        with ThreadPoolExecutor(len(sides)) as pool:
            futures = [pool.submit(fingerprint, side) for side in sides]
            try:
                while wait(futures, _POLL_S).not_done:
                    if self._should_stop():
                        raise StoppedError
                return [future.result() for future in futures]
            finally:
                for future, side in zip(futures, sides, strict=True):
                    if not future.done():
                        side.cursor.connection.cancel_safe()

    def _preview(self, replays: Replays, active: Instance) -> dict[str, Any]:
        """Describe what readers would see of other users; live workers wait for the comparison."""
        job_id = self._instance.preview_revert or self._instance.preview_restore or 0
        while True:
            try:
                return self._try_preview(replays, active, job_id)
            except TimeoutError:
                self._log.info("preview put off")
            self._catch_up(replays, active)

    def _try_preview(self, replays: Replays, active: Instance, job_id: int) -> dict[str, Any]:
        keys = select_keys(self._settings, job_id, self._job_ranges(active, job_id))
        with self._connection.transaction(force_rollback=True), self._connection.cursor() as cursor:
            note_touched_keys(cursor, keys)
            offsets = instance_registry.hold(cursor, active)  # rolled back, it fences nobody
            self._replay_to(replays, offsets, within_s=_SWITCH_S)
            return describe_change(cursor, active.schema, self._instance.schema, job_id)

    def _switch(self, replays: Replays, active: Instance, result: dict[str, Any] | None) -> None:
        self._enter("switching")
        while True:
            try:
                self._try_switch(replays, active, result)
            except (errors.LockNotAvailable, errors.DeadlockDetected, TimeoutError) as error:
                self._log.info("switch put off", reason=str(error).strip())
            else:
                return
            if self._should_stop():
                raise StoppedError
            time.sleep(_PAUSE_S)
            self._catch_up(replays, active)

    def _try_switch(
        self, replays: Replays, active: Instance, result: dict[str, Any] | None
    ) -> None:
        with self._connection.transaction(), self._connection.cursor() as cursor:
            offsets = instance_registry.hold(cursor, active)
            self._replay_to(replays, offsets, within_s=_SWITCH_S)
            instance_registry.switch(cursor, active, self._instance, result)
            # Tables of an earlier version may lack what this would read; what they say of a job
            # is not changed by an upgrade.
            if active.version == self._instance.version:
                topic = self._settings.topics.job_status.name
                announce_changed(cursor, active.schema, self._instance.schema, topic)
