"""`./rollcall rekey`: moves the log to another key, another number of partitions, or both."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import msgspec

from deploy.log_migration import MoveRefusedError
from deploy.log_migration.engine import find_log, locked, move, with_next_version
from deploy.log_migration.log_copy import LogCopy
from deploy.log_migration.log_state import read_ledger
from deploy.log_migration.rekey.copy import RekeyingCopy
from deploy.log_migration.rekey.key_change import KeyChange, KeyScan
from deploy.log_migration.rekey.proof import prove_rekeyed
from schemas.rules.attributes import key_field
from schemas.rules.fields import KEY_FIELD

if TYPE_CHECKING:
    from collections.abc import Sequence

    from deploy.log_migration.engine import Log, Report
    from deploy.log_migration.erase.data_subject import DataSubject
    from deploy.log_migration.records import CopiedRecord
    from schemas.config.settings import Settings
    from schemas.rules.fields import Field

COMMAND: Final = "rekey"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rekeyed:
    """The result of a rekeying; ``users`` is None where an interrupted move was completed."""

    version: int
    partitions: int
    key: str
    users: int | None
    held_s: float


@dataclass(frozen=True, slots=True)
class RekeyRequest:
    """The requested key and partitions of the log; None where it keeps its own.

    ``forgets_erased``: with another key, what people whose data has been erased had opted out of
    is forgotten; else the log is not moved.
    """

    key: str | None = None
    partitions: int | None = None
    forgets_erased: bool = False


def rekey(settings: Settings, request: RekeyRequest, *, report: Report) -> Rekeyed:
    """Move the log as requested; see :func:`deploy.log_migration.engine.move`.

    Raises:
        MoveRefusedError, MoveFailedError: the log is as it was.
        TopicSetupError, LogMismatchError: the settings do not fit the log.
    """

    def begin(log: Log) -> contextlib.nullcontext[_Rekeying]:
        return contextlib.nullcontext(_Rekeying(_requested(log, request), request, report))

    with locked(settings) as connection:
        moved = move(find_log(settings, connection, COMMAND), begin, report)
        log = moved.log
        return Rekeyed(
            key=log.tables.reconciliation_key(log.tables.active().schema),
            version=log.new.log_version,
            partitions=log.new.topics.user_events.partitions,
            users=moved.rewrite and moved.rewrite.users,
            held_s=moved.held_s,
        )


def _requested(log: Log, request: RekeyRequest) -> Log:
    now = log.old.topics.user_events.partitions
    partitions, key = request.partitions or now, request.key or log.old.reconciliation_key
    if (partitions, key) == (now, log.old.reconciliation_key):
        raise MoveRefusedError(
            f"The log has the key {key} and {now} partitions already, so there is nothing to be"
            " done."
        )
    new = msgspec.structs.replace(log.old.with_partitions(partitions), reconciliation_key=key)
    return with_next_version(log, new)


def _field(log: Log) -> Field | None:
    """Return the field that becomes the key; None where the key stays."""
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
    """Writes the log anew; see :class:`deploy.log_migration.engine.Rewrite`.

    ``users``: the number in the compared tables.
    """

    subject: DataSubject | None = None
    users = 0

    def __init__(self, log: Log, request: RekeyRequest, report: Report) -> None:
        self.log = log
        self.copy = LogCopy(log.new)
        self._report = report
        self._active = log.tables.active().schema
        self._field = _field(log)
        change = KeyChange(self._field) if self._field else None
        self._scan = KeyScan(log.old, change) if change else None
        self._rekeying = RekeyingCopy(
            log.old,
            self.copy,
            change.new_key if change else None,
            forgets_opt_outs=request.forgets_erased,
        )
        self._ended_jobs()

    def _ended_jobs(self) -> int:
        """Return the number of jobs, all of which must have ended: only whole ones are copied."""
        jobs = [job.accepted.job_id for job in read_ledger(self.log.old).jobs]
        if running := self.log.tables.unfinished(self._active, jobs):
            raise MoveRefusedError(f"{running} jobs have not ended: let them end first.")
        return len(jobs)

    def copy_up_to_now(self, *, is_last: bool) -> Sequence[int]:
        jobs, topic = self._ended_jobs(), self.log.old.topics.user_events
        ends = self.log.admin.ends(topic)
        if self._scan:
            self._report("Reading the new keys.")
            self._scan.scan(ends, jobs, self.log.tables.refused_lines(self._active))
            self._scan.change.check()
        self._report(f"Copying {topic.name} up to {sum(ends)} records.")
        self._rekeying.copy_jobs(ends, jobs)
        if is_last:
            self._rekeying.copy_rest(ends)
        return ends

    def check_copied(self, partition: int, records: Sequence[CopiedRecord]) -> None:
        """Any record that was written may stand in the copy."""

    def check_tables(self, schemas: tuple[str, str]) -> None:
        self.users = prove_rekeyed(self.log.connection, schemas, self._field)
