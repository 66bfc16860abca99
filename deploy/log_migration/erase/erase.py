"""`./rollcall erase`: a person's data out of the log and of every table."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from psycopg import sql

from deploy.log_migration import MoveFailedError, MoveRefusedError
from deploy.log_migration.engine import afresh, find_log, locked, move
from deploy.log_migration.erase.copy import ErasingCopy
from deploy.log_migration.erase.data_subject import Person, normalised
from deploy.log_migration.erase.outcomes import Outcomes
from deploy.log_migration.erase.places import find_in_tables, find_in_topics
from deploy.log_migration.erase.proof import PROOF
from deploy.log_migration.log_copy import LogCopy
from deploy.log_migration.log_state import read_ledger
from deploy.log_migration.proof import prove
from schemas.log.topics import partition_of
from schemas.rules.fields import ERASED

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

    from deploy.log_migration.engine import Log, Moved, Tell
    from deploy.log_migration.erase.copy import Erasure
    from deploy.log_migration.erase.places import Place
    from deploy.log_migration.records import CopiedRecord
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
    """Erase the user with this key, see :func:`deploy.log_migration.engine.move`.

    Raises:
        MoveRefusedError, MoveFailedError: the log is as it was.
        TopicSetupError, LogMismatchError: the settings do not fit the log.
    """
    with locked(settings) as connection:
        log = find_log(settings, connection, COMMAND)
        person = _person(log.old, key)
        moved = move(log, lambda log: _erasing(log, person, tell), tell, keeps_old=keeps_old)
        log.tables.forget_results(person)
        return _told(moved, person)


def _person(settings: Settings, key: str) -> Person:
    setting = settings.reconciliation_key
    jobs = {job.accepted.job_id: job.accepted for job in read_ledger(settings).jobs}
    person = Person(normalised(key, setting), setting, jobs)
    if not person.key:
        raise MoveRefusedError("The key is empty.")
    return person


@contextlib.contextmanager
def _erasing(log: Log, person: Person, tell: Tell) -> Generator[_Erasing]:
    log = afresh(log, log.old)
    home = partition_of(person.key.encode(), log.old.topics.user_events.partitions)
    with Outcomes(log.new, home, log.tables.active().reverted) as outcomes:
        yield _Erasing(log, person, outcomes, tell)


class _Erasing:
    """The copy without the person, see :class:`deploy.log_migration.engine.Rewriting`."""

    def __init__(self, log: Log, person: Person, outcomes: Outcomes, tell: Tell) -> None:
        self.log = log
        self.copy = LogCopy(log.new)
        self.person: Person | None = person
        self._person = person
        self._tell = tell
        self._erasing = ErasingCopy(log.old, person=person, outcomes=outcomes, copy=self.copy)

    @property
    def erasure(self) -> Erasure:
        return self._erasing.erasure

    def copy_on(self, *, is_last: bool) -> Sequence[int]:
        topic = self.log.old.topics.user_events
        ends = self.log.admin.ends(topic)
        self._tell(f"Copying {topic.name} up to {sum(ends)} records.")
        self._erasing.copy_up_to(ends)
        if not is_last:
            self._check_found()
        return ends

    def _check_found(self) -> None:
        """Before anybody is held up for nothing."""
        log = self.log
        if not self.erasure.records and not find_in_topics(
            log.old, log.admin, [log.old.topics.dead_letters], self._person
        ):
            raise MoveRefusedError(
                "The log has nothing of a user with this key, so there is nothing to erase."
            )

    def look(self, partition: int, records: Sequence[CopiedRecord]) -> None:
        theirs = filter(self._person.owns, records if self._person.is_hinted(*records) else ())
        for record in theirs:
            raise MoveFailedError(
                f"{self.copy.topic}, partition {partition} still has a record of the user at"
                f" offset {record.offset()}"
            )

    def check_tables(self, schemas: tuple[str, str]) -> None:
        parts = {"key": sql.Literal(self._person.key), "erased": sql.Literal(ERASED.code)}
        prove(self.log.connection, schemas, PROOF, **parts)


def _told(moved: Moved[_Erasing], person: Person) -> Erased:
    log = moved.log
    topics = (*log.new.topics.all(), log.old.topics.job_events)
    left = find_in_topics(log.new, log.admin, topics, person)
    return Erased(
        version=log.new.log_version,
        erasure=moved.rewriting and moved.rewriting.erasure,
        dead_letters=moved.dead_letters_left_out,
        held_s=moved.held_s,
        left=left + find_in_tables(log.connection, person),
    )
