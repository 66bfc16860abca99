"""`./rollcall rekey`: the log with another number of partitions."""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from deploy.log_move import MoveFailedError, MoveRefusedError
from deploy.log_move.log_state import read_ledger
from deploy.log_move.move import (
    afresh,
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
from deploy.log_move.other_topics import copy_dead_letters, copy_job_events, copy_last_statuses
from deploy.log_move.proof import check_written
from deploy.log_move.records import RecordWriter
from deploy.log_move.rekeying_copy import RekeyingCopy
from deploy.log_move.rekeying_proof import compare
from processor.replay import Replay
from schemas.read_model import schema_name

if TYPE_CHECKING:
    from collections.abc import Callable

    from deploy.log_move.move import Log
    from processor.instances import Instance
    from schemas.settings import Settings

COMMAND: Final = "rekey"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rekeyed:
    """What has been done; ``users`` is None where a move that was broken off was completed."""

    version: int
    partitions: int
    users: int | None
    held_s: float


def rekey(settings: Settings, partitions: int, *, tell: Callable[[str], None]) -> Rekeyed:
    """Move the log to so many partitions; a move that was broken off is completed or undone.

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
        if partitions == log.old.topics.user_events.partitions:
            raise MoveRefusedError(
                f"The log has {partitions} partitions already, so there is nothing to be done."
            )
        remove_earlier(log, tell)
        log = afresh(log, log.old.with_partitions(partitions))
        move = _Move(log, tell)
        users = move.run()
        return _finish(log, users, move.held_at_s)


class _Move:
    """One attempt, from the first copy to the switch of the tables; gives up as a whole."""

    def __init__(self, log: Log, tell: Callable[[str], None]) -> None:
        self._log = log
        self._tell = tell
        self._active: Instance = log.tables.active()
        self.held_at_s = 0.0

    def run(self) -> int:
        """The tables are switched on return; how many users they have."""
        log = self._log
        log.tables.check_none_is_built()
        log.admin.ends(log.old.topics.user_events)  # refuses a log that does not begin at 0
        self._check_jobs()
        try:
            log.admin.make(log.old, log.new)
            return self._moved(log.tables.make(log.new))
        except BaseException:
            self._give_up()
            raise

    def _check_jobs(self) -> None:
        """Before anything is copied: only whole jobs are."""
        jobs = [job.accepted.job_id for job in read_ledger(self._log.old).jobs]
        if running := self._log.tables.unfinished(self._active.schema, jobs):
            raise MoveRefusedError(f"{running} jobs have not ended: let them end first.")

    def _give_up(self) -> None:
        if is_switched(self._log):
            # The answer to the switch was lost, but not the switch.
            raise MoveFailedError("the tables are switched: start it again, which completes it")
        self._tell("Giving up: the log goes on as it was.")
        undo_broken_off(self._log, read_ledger(self._log.old))

    def _moved(self, number: int) -> int:
        log = self._log
        replay = Replay(log.new, schema_name(number), reverted=self._active.reverted)
        writer = RecordWriter(log.new.kafka, log.new.topics.user_events)
        copy = RekeyingCopy(log.old, log.new, writer)
        with contextlib.closing(replay):
            jobs = len(read_ledger(log.old).jobs)
            self._check_jobs()  # those of this moment, so that they stand before the ends
            ends = log.admin.ends(log.old.topics.user_events)
            self._tell(f"Copying {log.old.topics.user_events.name} up to {sum(ends)} records.")
            copy.copy_jobs(ends, jobs)
            self._build(replay, copy)
            self._tell("Holding the log: uploads and writes are answered with 503.")
            self.held_at_s = time.monotonic()
            hold(log, self._active.schema)
            ends = log.admin.ends(log.old.topics.user_events)
            self._tell("Copying what has come since.")
            copy.copy_jobs(ends, len(read_ledger(log.old).jobs))
            copy.copy_rest(ends)
            self._build(replay, copy)
            self._copy_others()
        users = self._prove(copy, number)
        log.tables.switch(self._active, number, ends, COMMAND)
        return users

    def _build(self, replay: Replay, copy: RekeyingCopy) -> None:
        self._tell("Making tables from the copy.")
        replay.run(copy.next_offsets, lambda _done: None, lambda: False)

    def _copy_others(self) -> None:
        log = self._log
        copy_job_events(log.admin, log.old, log.new)
        copy_last_statuses(log.admin, log.old, log.new)
        copy_dead_letters(log.admin, log.old, log.new)

    def _prove(self, copy: RekeyingCopy, number: int) -> int:
        log = self._log
        self._tell("Proving the copy, record by record.")
        check_written(log.new, copy, lambda _partition, _records: None)
        self._tell("Comparing the tables with the live ones.")
        return compare(log.connection, self._active.schema, schema_name(number))


def _finish(log: Log, users: int | None, held_at_s: float) -> Rekeyed:
    """After the switch of the tables: let everybody go on, and remove what was before."""
    held_s = let_go_on(log, held_at_s)
    remove_old(log)
    return Rekeyed(
        version=log.new.log_version,
        partitions=log.new.topics.user_events.partitions,
        users=users,
        held_s=held_s,
    )
