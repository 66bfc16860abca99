"""`./rollcall erase`: a person's data out of the log and of every table."""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass
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
from deploy.log_migration.erase.copy import ErasingCopy
from deploy.log_migration.erase.data_subject import Person, normalised
from deploy.log_migration.erase.outcomes import Outcomes
from deploy.log_migration.log_state import read_ledger
from deploy.log_migration.proof import check_copy, compare, find_in_tables, find_in_topics
from deploy.log_migration.records import RecordWriter
from deploy.log_migration.side_topics import copy_dead_letters, copy_job_events, copy_last_statuses
from processor.builder.parallel_replay import Replays
from schemas.log.topics import partition_of
from schemas.read_model.tables import schema_name

if TYPE_CHECKING:
    from collections.abc import Sequence

    from deploy.log_migration.engine import Log, Tell
    from deploy.log_migration.erase.copy import Erasure
    from deploy.log_migration.proof import Place
    from ingest_api.event_log.ledger import JobLedger
    from processor.tables.instance_registry import Instance
    from schemas.config.settings import Settings

COMMAND: Final = "erase"


@dataclass(frozen=True, slots=True, kw_only=True)
class Erased:
    """What has been done, and what was left.

    ``left`` are places in which the key still stands: records and rows of others.
    """

    version: int
    erasure: Erasure | None
    dead_letters: int
    held_s: float
    left: list[Place]


def erase(settings: Settings, key: str, *, keeps_old: bool, tell: Tell) -> Erased:
    """Erase the user with this key; a move that was broken off before is completed or undone.

    Blocks while it copies the log; interrupted or killed at any time, it leaves the log either
    as it was or to be completed by the next call.

    Raises:
        MoveRefusedError, MoveFailedError: the log is as it was.
        TopicSetupError, LogMismatchError: the settings do not fit the log.
    """
    with locked(settings) as connection:
        log = find_log(settings, connection, COMMAND)
        ledger = read_ledger(log.old)
        person = _person(log.old, key, ledger)
        if is_switched(log):
            check_same_command(log, ledger)
            tell("A move that was broken off is completed.")
            return _finish(log, person, _Done(None, 0, time.monotonic()), keeps_old=keeps_old)
        undo_broken_off(log, ledger)
        log = afresh(log, log.old)
        if not keeps_old:
            remove_earlier(log, tell)
        done = _Move(log, person, tell).run()
        return _finish(log, person, done, keeps_old=keeps_old)


def _person(settings: Settings, key: str, ledger: JobLedger) -> Person:
    setting = settings.reconciliation_key
    jobs = {job.accepted.job_id: job.accepted for job in ledger.jobs}
    person = Person(normalised(key, setting), setting, jobs)
    if not person.key:
        raise MoveRefusedError("The key is empty.")
    return person


@dataclass(frozen=True, slots=True)
class _Done:
    """A move whose tables have been switched."""

    erasure: Erasure | None
    dead_letters: int
    held_at_s: float


class _Move:
    """One attempt, from the first copy to the switch of the tables."""

    def __init__(self, log: Log, person: Person, tell: Tell) -> None:
        self._log = log
        self._person = person
        self._tell = tell
        self._active: Instance = log.tables.active()
        self._partitions = log.old.topics.user_events.partitions

    def run(self) -> _Done:
        check_can_begin(self._log)
        return attempt(self._log, self._tell, self._moved)

    def _moved(self, number: int) -> _Done:
        log, person = self._log, self._person
        home = partition_of(person.key.encode(), self._partitions)
        replays = Replays(log.new, schema_name(number), reverted=self._active.reverted)
        with (
            contextlib.closing(replays),
            Outcomes(log.new, home, self._active.reverted) as outcomes,
        ):
            copy = ErasingCopy(
                log.old,
                person=person,
                outcomes=outcomes,
                home=home,
                writer=RecordWriter(log.new.kafka, log.new.topics.user_events),
            )
            self._copy_and_build(copy, replays, log.admin.ends(log.old.topics.user_events))
            self._check_found(copy.erasure)
            held_at_s = hold(log, self._active.schema, self._tell)
            self._copy_and_build(copy, replays, log.admin.ends(log.old.topics.user_events))
            dead_letters = self._copy_others()
            self._prove(copy, number)
        log.tables.switch(self._active, number, copy.next_offsets, COMMAND)
        return _Done(copy.erasure, dead_letters, held_at_s)

    def _copy_and_build(self, copy: ErasingCopy, replays: Replays, ends: Sequence[int]) -> None:
        topic = self._log.old.topics.user_events.name
        self._tell(f"Copying {topic} up to {sum(ends)} records.")
        copy.copy_up_to(ends, lambda _done: None)
        self._tell("Making tables from the copy.")
        replays.run(ends, lambda _done: None, lambda: False)

    def _check_found(self, erasure: Erasure) -> None:
        """Before anybody is held up for nothing."""
        log, person = self._log, self._person
        if not erasure.records and not find_in_topics(
            log.old, log.admin, [log.old.topics.dead_letters], person
        ):
            raise MoveRefusedError(
                "The log has nothing of a user with this key, so there is nothing to erase."
            )

    def _copy_others(self) -> int:
        log = self._log
        copy_job_events(log.admin, log.old, log.new)
        copy_last_statuses(log.admin, log.old, log.new)
        return copy_dead_letters(log, self._person)

    def _prove(self, copy: ErasingCopy, number: int) -> None:
        log = self._log
        self._tell("Proving the copy, record by record.")
        check_copy(log.new, copy, self._person)
        self._tell("Comparing the tables with the live ones.")
        compare(log.connection, self._active.schema, schema_name(number), self._person.key)


def _finish(log: Log, person: Person, done: _Done, *, keeps_old: bool) -> Erased:
    """After the switch of the tables: let everybody go on, and remove what was before."""
    held_s = let_go_on(log, done.held_at_s)
    log.tables.forget_results(person)
    if not keeps_old:
        remove_old(log)
    topics = (*log.new.topics.all(), log.old.topics.job_events)
    left = find_in_topics(log.new, log.admin, topics, person)
    left += find_in_tables(log.connection, person)
    return Erased(
        version=log.new.log_version,
        erasure=done.erasure,
        dead_letters=done.dead_letters,
        held_s=held_s,
        left=left,
    )
