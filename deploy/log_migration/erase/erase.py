"""`./rollcall erase`: removes a data subject's data from the log and all tables."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from psycopg import sql

from deploy.log_migration import MoveFailedError, MoveRefusedError
from deploy.log_migration.engine import find_log, locked, move, with_next_version
from deploy.log_migration.erase.copy import ErasingCopy
from deploy.log_migration.erase.data_subject import DataSubject, normalised
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

    from deploy.log_migration.engine import Log, MoveResult, Report
    from deploy.log_migration.erase.copy import Erasure
    from deploy.log_migration.erase.places import Place
    from deploy.log_migration.records import CopiedRecord
    from schemas.config.settings import Settings

COMMAND: Final = "erase"


@dataclass(frozen=True, slots=True, kw_only=True)
class Erased:
    """The result of an erasure; ``left``: places of other users' data that still hold the key."""

    version: int
    erasure: Erasure | None
    dead_letters: int
    held_s: float
    left: list[Place]


def erase(settings: Settings, key: str, *, keeps_old: bool, report: Report) -> Erased:
    """Erase the user with this key; see :func:`deploy.log_migration.engine.move`.

    Raises:
        MoveRefusedError, MoveFailedError: the log is as it was.
        TopicSetupError, LogMismatchError: the settings do not fit the log.
    """
    with locked(settings) as connection:
        log = find_log(settings, connection, COMMAND)
        subject = _subject(log.old, key)
        moved = move(log, lambda log: _erasing(log, subject, report), report, keeps_old=keeps_old)
        log.tables.forget_results(subject)
        return _summary(moved, subject)


def _subject(settings: Settings, key: str) -> DataSubject:
    setting = settings.reconciliation_key
    jobs = {job.accepted.job_id: job.accepted for job in read_ledger(settings).jobs}
    subject = DataSubject(normalised(key, setting), setting, jobs)
    if not subject.key:
        raise MoveRefusedError("The key is empty.")
    return subject


@contextlib.contextmanager
def _erasing(log: Log, subject: DataSubject, report: Report) -> Generator[_Erasing]:
    log = with_next_version(log, log.old)
    with Outcomes(log.new, subject.key, log.tables.active().reverted) as outcomes:
        yield _Erasing(log, subject, outcomes, report)


def _home(log: Log, subject: DataSubject) -> int:
    return partition_of(subject.key.encode(), log.old.topics.user_events.partitions)


class _Erasing:
    """Copies the log without the data subject; see :class:`deploy.log_migration.engine.Rewrite`."""

    def __init__(self, log: Log, subject: DataSubject, outcomes: Outcomes, report: Report) -> None:
        self.log = log
        self.copy = LogCopy(log.new)
        self.subject: DataSubject | None = subject
        self._subject = subject
        self._report = report
        self._erasing = ErasingCopy(log.old, subject=subject, outcomes=outcomes, copy=self.copy)

    @property
    def erasure(self) -> Erasure:
        return self._erasing.erasure

    def copy_up_to_now(self, *, is_last: bool) -> Sequence[int]:
        topic = self.log.old.topics.user_events
        ends = self.log.admin.ends(topic)
        self._report(f"Copying {topic.name} up to {sum(ends)} records.")
        self._erasing.copy_up_to(ends)
        if not is_last:
            self._check_found()
        return ends

    def _check_found(self) -> None:
        """Refuse a key that the log does not have, before the log is held for nothing."""
        log = self.log
        if not self.erasure.records and not find_in_topics(
            log.old, log.admin, [log.old.topics.dead_letters], self._subject
        ):
            raise MoveRefusedError(
                "The log has nothing of a user with this key, so there is nothing to erase."
            )

    def check_copied(self, partition: int, records: Sequence[CopiedRecord]) -> None:
        theirs = filter(self._subject.owns, records if self._subject.may_mention(*records) else ())
        for record in theirs:
            raise MoveFailedError(
                f"{self.copy.topic}, partition {partition} still has a record of the user at"
                f" offset {record.offset()}"
            )

    def check_tables(self, schemas: tuple[str, str]) -> None:
        parts = {
            "key": sql.Literal(self._subject.key),
            "home": sql.Literal(_home(self.log, self._subject)),
            "erased": sql.Literal(ERASED.code),
        }
        prove(self.log.connection, schemas, PROOF, **parts)


def _summary(moved: MoveResult[_Erasing], subject: DataSubject) -> Erased:
    log = moved.log
    topics = (*log.new.topics.all(), log.old.topics.job_events)
    left = find_in_topics(log.new, log.admin, topics, subject)
    return Erased(
        version=log.new.log_version,
        erasure=moved.rewrite and moved.rewrite.erasure,
        dead_letters=moved.dead_letters_left_out,
        held_s=moved.held_s,
        left=left + find_in_tables(log.connection, subject),
    )
