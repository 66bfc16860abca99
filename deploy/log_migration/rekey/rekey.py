"""`./rollcall rekey`: the log with another reconciliation key, number of partitions, or both."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import msgspec

from deploy.log_migration import MoveRefusedError
from deploy.log_migration.engine import afresh, find_log, locked, move
from deploy.log_migration.log_copy import LogCopy
from deploy.log_migration.log_state import read_ledger
from deploy.log_migration.rekey.copy import RekeyingCopy
from deploy.log_migration.rekey.key_change import KeyChange, KeyScan
from deploy.log_migration.rekey.proof import prove_rekeyed
from schemas.rules.attributes import key_field
from schemas.rules.fields import KEY_FIELD

if TYPE_CHECKING:
    from collections.abc import Sequence

    from deploy.log_migration.engine import Log, Tell
    from deploy.log_migration.erase.data_subject import Person
    from deploy.log_migration.records import CopiedRecord
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
    """Move the log to what is wanted, see :func:`deploy.log_migration.engine.move`.

    Raises:
        MoveRefusedError, MoveFailedError: the log is as it was.
        TopicSetupError, LogMismatchError: the settings do not fit the log.
    """

    def begin(log: Log) -> contextlib.nullcontext[_Rekeying]:
        return contextlib.nullcontext(_Rekeying(_as_wanted(log, wanted), tell))

    with locked(settings) as connection:
        moved = move(find_log(settings, connection, COMMAND), begin, tell)
        log = moved.log
        return Rekeyed(
            key=log.tables.reconciliation_key(log.tables.active().schema),
            version=log.new.log_version,
            partitions=log.new.topics.user_events.partitions,
            users=moved.rewriting and moved.rewriting.users,
            held_s=moved.held_s,
        )


def _as_wanted(log: Log, wanted: Wanted) -> Log:
    now = log.old.topics.user_events.partitions
    partitions, key = wanted.partitions or now, wanted.key or log.old.reconciliation_key
    if (partitions, key) == (now, log.old.reconciliation_key):
        raise MoveRefusedError(
            f"The log has the key {key} and {now} partitions already, so there is nothing to be"
            " done."
        )
    new = msgspec.structs.replace(log.old.with_partitions(partitions), reconciliation_key=key)
    return afresh(log, new)


def _field(log: Log) -> Field | None:
    """The field that is to be the key; None where the key stays."""
    key = log.new.reconciliation_key
    if key == log.old.reconciliation_key:
        return None
    attributes = log.tables.attributes(log.tables.active().schema)
    field = key_field(key, attributes)
    if field is None:
        marked = [each.name for each in attributes if each.is_reconciliation_key]
        raise MoveRefusedError(
            f"{key} cannot be the key; what can: {', '.join([*KEY_FIELD, *marked])}."
        )
    return field


class _Rekeying:
    """The log written anew, see :class:`deploy.log_migration.engine.Rewriting`.

    ``users``: how many the compared tables have.
    """

    person: Person | None = None
    users = 0

    def __init__(self, log: Log, tell: Tell) -> None:
        self.log = log
        self.copy = LogCopy(log.new)
        self._tell = tell
        self._active = log.tables.active().schema
        self._field = _field(log)
        change = KeyChange(self._field) if self._field else None
        self._scan = KeyScan(log.old, change) if change else None
        self._rekeying = RekeyingCopy(log.old, self.copy, change.new_key if change else str)
        self._ended_jobs()

    def _ended_jobs(self) -> int:
        """How many jobs there are; only whole ones are copied."""
        jobs = [job.accepted.job_id for job in read_ledger(self.log.old).jobs]
        if running := self.log.tables.unfinished(self._active, jobs):
            raise MoveRefusedError(f"{running} jobs have not ended: let them end first.")
        return len(jobs)

    def copy_on(self, *, is_last: bool) -> Sequence[int]:
        jobs, topic = self._ended_jobs(), self.log.old.topics.user_events
        ends = self.log.admin.ends(topic)
        if self._scan:
            self._tell("Reading the new keys.")
            self._scan.scan(ends, jobs, self.log.tables.refused_lines(self._active))
            self._scan.change.check()
        self._tell(f"Copying {topic.name} up to {sum(ends)} records.")
        self._rekeying.copy_jobs(ends, jobs)
        if is_last:
            self._rekeying.copy_rest(ends)
        return ends

    def look(self, partition: int, records: Sequence[CopiedRecord]) -> None:
        """Any record may stand in it that was written."""

    def check_tables(self, schemas: tuple[str, str]) -> None:
        self.users = prove_rekeyed(self.log.connection, schemas, self._field)
