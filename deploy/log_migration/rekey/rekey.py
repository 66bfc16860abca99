"""`./rollcall rekey`: the log with another reconciliation key, number of partitions, or both."""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from deploy.log_migration import MoveRefusedError
from deploy.log_migration.engine import (
    afresh,
    attempt,
    check_can_begin,
    check_same_command,
    find_log,
    hold,
    is_switched,
    let_go_on,
    locked,
    remove_earlier,
    remove_old,
    undo_broken_off,
)
from deploy.log_migration.log_state import read_ledger
from deploy.log_migration.proof import check_written
from deploy.log_migration.records import RecordWriter
from deploy.log_migration.rekey.copy import RekeyingCopy
from deploy.log_migration.rekey.key_change import KeyChange, KeyScan
from deploy.log_migration.rekey.proof import compare
from deploy.log_migration.side_topics import copy_dead_letters, copy_job_events, copy_last_statuses
from processor.builder.parallel_replay import Replays
from schemas.read_model.tables import schema_name
from schemas.rules.attributes import key_field
from schemas.rules.fields import KEY_FIELD

if TYPE_CHECKING:
    from deploy.log_migration.engine import Log, Tell
    from processor.tables.instance_registry import Instance
    from schemas.config.settings import Settings
    from schemas.rules.fields import Field

COMMAND: Final = "rekey"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rekeyed:
    """What has been done; ``users`` is None where a move that was broken off was completed."""

    version: int
    partitions: int
    key: str
    users: int | None
    held_s: float


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the log is to have; None where it is to stay."""

    key: str | None = None
    partitions: int | None = None


def rekey(settings: Settings, wanted: Wanted, *, tell: Tell) -> Rekeyed:
    """Move the log to what is wanted; a move that was broken off is completed or undone.

    Blocks while it copies the log; interrupted or killed at any time, it leaves the log either
    as it was or to be completed by the next call.

    Raises:
        MoveRefusedError, MoveFailedError: the log is as it was.
        TopicSetupError, LogMismatchError: the settings do not fit the log.
    """
    with locked(settings) as connection:
        log = find_log(settings, connection, COMMAND)
        ledger = read_ledger(log.old)
        if is_switched(log):
            check_same_command(log, ledger)
            tell("A move that was broken off is completed.")
            return _finish(log, None, time.monotonic())
        undo_broken_off(log, ledger)
        log = _as_wanted(log, wanted)
        remove_earlier(log, tell)
        move = _Move(log, tell)
        users = move.run()
        return _finish(log, users, move.held_at_s)


def _as_wanted(log: Log, wanted: Wanted) -> Log:
    now = log.old.topics.user_events.partitions
    partitions, key = wanted.partitions or now, wanted.key or log.old.reconciliation_key
    if (partitions, key) == (now, log.old.reconciliation_key):
        raise MoveRefusedError(
            f"The log has the key {key} and {now} partitions already, so there is nothing to be"
            " done."
        )
    new = replace(log.old.with_partitions(partitions), reconciliation_key=key)
    return afresh(log, new)


def _field(log: Log, active: Instance) -> Field | None:
    """The field that is to be the key; None where the key stays."""
    key = log.new.reconciliation_key
    if key == log.old.reconciliation_key:
        return None
    attributes = log.tables.attributes(active.schema)
    field = key_field(key, attributes)
    if field is None:
        marked = [each.name for each in attributes if each.is_reconciliation_key]
        raise MoveRefusedError(
            f"{key} cannot be the key; what can: {', '.join([*KEY_FIELD, *marked])}."
        )
    return field


@dataclass(frozen=True, slots=True)
class _Work:
    """What goes on from the first copy to the last; ``scan``: where there is another key."""

    scan: KeyScan | None
    copy: RekeyingCopy
    replays: Replays


class _Move:
    """One attempt, from the first copy to the switch of the tables."""

    def __init__(self, log: Log, tell: Tell) -> None:
        self._log = log
        self._tell = tell
        self._active: Instance = log.tables.active()
        self._field = _field(log, self._active)
        self.held_at_s = 0.0

    def run(self) -> int:
        """The tables are switched on return; how many users they have."""
        check_can_begin(self._log)
        self._check_jobs()
        return attempt(self._log, self._tell, self._moved)

    def _check_jobs(self) -> None:
        """Before anything is copied: only whole jobs are."""
        jobs = [job.accepted.job_id for job in read_ledger(self._log.old).jobs]
        if running := self._log.tables.unfinished(self._active.schema, jobs):
            raise MoveRefusedError(f"{running} jobs have not ended: let them end first.")

    def _moved(self, number: int) -> int:
        log = self._log
        work = self._work(number)
        with contextlib.closing(work.replays):
            jobs = len(read_ledger(log.old).jobs)
            self._check_jobs()
            self._copy(work, jobs)
            self.held_at_s = hold(log, self._active.schema, self._tell)
            ends = self._copy(work, len(read_ledger(log.old).jobs), is_last=True)
            self._copy_others()
        users = self._prove(work.copy, number)
        log.tables.switch(self._active, number, ends, COMMAND)
        return users

    def _work(self, number: int) -> _Work:
        log = self._log
        change = KeyChange(self._field) if self._field else None
        writer = RecordWriter(log.new.kafka, log.new.topics.user_events)
        return _Work(
            scan=KeyScan(log.old, change) if change else None,
            copy=RekeyingCopy(log.old, log.new, writer, change.new_key if change else _same),
            replays=Replays(log.new, schema_name(number), reverted=self._active.reverted),
        )

    def _copy(self, work: _Work, jobs: int, *, is_last: bool = False) -> list[int]:
        """Copy so many jobs, which have ended, at last what comes after them too; up to where."""
        topic = self._log.old.topics.user_events
        ends = self._log.admin.ends(topic)
        if work.scan:
            self._tell("Reading the new keys.")
            work.scan.scan(ends, jobs, self._log.tables.refused_lines(self._active.schema))
            work.scan.change.check()
        self._tell(f"Copying {topic.name} up to {sum(ends)} records.")
        work.copy.copy_jobs(ends, jobs)
        if is_last:
            work.copy.copy_rest(ends)
        self._tell("Making tables from the copy.")
        work.replays.run(work.copy.next_offsets, lambda _done: None, lambda: False)
        return ends

    def _copy_others(self) -> None:
        log = self._log
        copy_job_events(log.admin, log.old, log.new)
        copy_last_statuses(log.admin, log.old, log.new)
        copy_dead_letters(log)

    def _prove(self, copy: RekeyingCopy, number: int) -> int:
        log = self._log
        self._tell("Proving the copy, record by record.")
        check_written(log.new, copy, lambda _partition, _records: None)
        self._tell("Comparing the tables with the live ones.")
        return compare(log.connection, self._active.schema, schema_name(number), self._field)


def _same(key: str) -> str:
    return key


def _finish(log: Log, users: int | None, held_at_s: float) -> Rekeyed:
    """After the switch of the tables: let everybody go on, and remove what was before."""
    held_s = let_go_on(log, held_at_s)
    remove_old(log)
    schema = log.tables.active().schema
    return Rekeyed(
        key=log.tables.reconciliation_key(schema),
        version=log.new.log_version,
        partitions=log.new.topics.user_events.partitions,
        users=users,
        held_s=held_s,
    )
