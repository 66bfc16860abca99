"""Moves a log: copy, hold, close, prove, switch, and resume; for `erase` and `rekey` alike.

They differ in a :class:`Rewrite`: how `user-events` is written anew and proved.
"""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, Generic, LiteralString, Protocol, TypeVar

import psycopg
from confluent_kafka import KafkaException

from deploy.log_migration import MoveError, MoveFailedError, MoveRefusedError
from deploy.log_migration.log_state import append_stage, read_ledger
from deploy.log_migration.side_topics import copy_side_topics
from deploy.log_migration.tables import Tables
from deploy.log_migration.topic_admin import TopicAdmin
from ingest_api.errors import LogMismatchError, TopicSetupError
from ingest_api.kafka.log_setup import at_current_version, ensure_log
from processor.builder.parallel_replay import Replays
from processor.projection.session import connect
from schemas.clients.errors import ClientError
from schemas.read_model.tables import schema_name

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence

    from deploy.log_migration.erase.data_subject import DataSubject
    from deploy.log_migration.log_copy import LogCopy
    from deploy.log_migration.records import CopiedRecord
    from ingest_api.event_log.ledger import JobLedger
    from processor.tables.instance_registry import Instance
    from schemas.config.settings import Settings

    Report = Callable[[str], None]
    """Reports progress to the operator."""

FAILURES: Final = (
    MoveError,
    TopicSetupError,
    LogMismatchError,
    ClientError,
    KafkaException,
    psycopg.OperationalError,
)
"""The errors of a move whose message is enough for an operator."""
_APPLICATION: Final = "rollcall-log-move"
_TRY_LOCK: LiteralString = "SELECT pg_try_advisory_lock(hashtextextended('rollcall:log-move', 0))"
_PATIENCE_S: Final = 120.0
"""So long a held log waits for running jobs, and for processors that lag behind."""
_PAUSE_S: Final = 0.2
_NOTICED_S: Final = 5.0
"""An idle worker checks every two seconds whether its tables are still the active ones."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Log:
    """A log being moved: settings of its old and new version, clients, and the moving command."""

    old: Settings
    new: Settings
    admin: TopicAdmin
    tables: Tables
    connection: psycopg.Connection
    command: str


class Rewrite(Protocol):
    """Writes `user-events` anew and proves the copy; every method may raise MoveError.

    ``log``: with the settings of the next version; ``copy``: the topic that is written;
    ``subject``: whose dead letters are left out.
    """

    log: Log
    copy: LogCopy
    subject: DataSubject | None

    def copy_up_to_now(self, *, is_last: bool) -> Sequence[int]:
        """Copy up to the log's present end offsets and return them.

        Jobs that have not ended may be left for the last call.
        """
        ...

    def check_copied(self, partition: int, records: Sequence[CopiedRecord]) -> None:
        """Check that these records, read back from the copy, may stand there."""
        ...

    def check_tables(self, schemas: tuple[str, str]) -> None:
        """Check the tables made from the copy against the live ones (old schema, new schema)."""
        ...


_R = TypeVar("_R", bound=Rewrite)


@dataclass(frozen=True, slots=True)
class MoveResult(Generic[_R]):
    """The result of a move; ``rewrite`` is None where an interrupted move was completed."""

    log: Log
    rewrite: _R | None
    dead_letters_left_out: int
    held_s: float


@contextlib.contextmanager
def locked(settings: Settings) -> Generator[psycopg.Connection]:
    """Yield a session that holds the lock of log moves.

    Raises:
        MoveRefusedError: another process moves the log.
    """
    with connect(settings, _APPLICATION) as connection:
        row = connection.execute(_TRY_LOCK).fetchone()
        if not (row and row[0]):
            raise MoveRefusedError("The log is being moved by another process.")
        yield connection


def find_log(settings: Settings, connection: psycopg.Connection, command: str) -> Log:
    """Return the log; its next version has the partitions of an interrupted move, if any.

    Raises:
        MoveRefusedError: there is none.
        TopicSetupError, LogMismatchError: the settings do not fit it.
    """
    admin = TopicAdmin(settings)
    old = at_current_version(settings)
    names = admin.names()
    if old.topics.user_events.name not in names:
        raise MoveRefusedError(f"There is no log: no topic {old.topics.user_events.name}.")
    old = old.with_partitions(admin.partitions(old.topics.user_events))
    ensure_log(old)
    new = old.at_version(old.log_version + 1)
    if new.topics.user_events.name in names:
        new = new.with_partitions(admin.partitions(new.topics.user_events))
    return Log(
        old=old,
        new=new,
        admin=admin,
        tables=Tables(connection),
        connection=connection,
        command=command,
    )


def move(
    log: Log,
    begin: Callable[[Log], contextlib.AbstractContextManager[_R]],
    report: Report,
    *,
    keeps_old: bool = False,
) -> MoveResult[_R]:
    """Move the log by the rewrite that ``begin`` yields, or complete an interrupted move.

    Blocks while it copies the log; interrupted or killed at any time, it leaves the log either
    as it was or to be completed by the next call.

    Raises:
        MoveRefusedError, MoveFailedError: the log is as it was.
    """
    ledger = read_ledger(log.old)
    if _is_switched(log):
        _check_same_command(log, ledger)
        report("A move that was broken off is completed.")
        rewrite, left_out, held_at_s = None, 0, time.monotonic()
    else:
        _undo_broken_off(log, ledger)
        with begin(log) as rewrite:
            log = rewrite.log
            if not keeps_old:
                _remove_earlier(log, report)
            left_out, held_at_s = _attempt(rewrite, report)
    held_s = resume(log, held_at_s)
    if not keeps_old:
        log.admin.delete(_earlier_topics(log.new))
    return MoveResult(log, rewrite, left_out, held_s)


def _is_switched(log: Log) -> bool:
    """True where the tables are of the new version already, and only the log lags behind."""
    topic = log.tables.topic(log.tables.active().schema)
    return log.old.version_of(topic) == log.new.log_version


def _check_same_command(log: Log, ledger: JobLedger) -> None:
    """Check that the interrupted move was made by this command.

    Raises:
        MoveRefusedError: another command made it; the message names that.
    """
    last = ledger.moves.last
    if last is not None and last.command != log.command:
        raise MoveRefusedError(
            f"A move by `rollcall {last.command}` was broken off when it was almost done:"
            " start that command again first, which completes it."
        )


def with_next_version(log: Log, settings: Settings) -> Log:
    """Return the log with a next version of these settings, whatever was begun before."""
    return replace(log, new=settings.at_version(log.old.log_version + 1))


def _remove_earlier(log: Log, report: Report) -> None:
    """Remove the topics and tables that an earlier move kept, on request or because it died."""
    earlier = _earlier_topics(log.old) & log.admin.names()
    if earlier:
        report("Removing the topics and tables of earlier versions of the log.")
        log.tables.drop_others()
        log.admin.delete(earlier)


def _earlier_topics(settings: Settings) -> set[str]:
    """Return the topics of earlier versions, but for `job-events`, which points to the next."""
    versions = [settings.at_version(number).topics for number in range(1, settings.log_version)]
    return {
        topic.name for topics in versions for topic in topics.all() if topic != topics.job_events
    }


def _undo_broken_off(log: Log, ledger: JobLedger) -> None:
    """Undo what an interrupted move has begun; the log goes on as it was."""
    if ledger.moves.is_held:
        append_stage(log.old, log.new, "RELEASED", command=log.command)
    log.admin.open(log.old.topics.user_events, log.new.topics.user_events)
    log.admin.delete(topic.name for topic in log.new.topics.all())
    log.tables.drop_orphans()


def _attempt(rewrite: Rewrite, report: Report) -> tuple[int, float]:
    """Copy, hold, prove and switch, or give up as a whole.

    Returns:
        The number of dead letters left out, and the monotonic time at which the log was held.
    """
    log, active = rewrite.log, rewrite.log.tables.active()
    log.tables.check_none_is_built()
    log.admin.ends(log.old.topics.user_events)  # refuses a log without its first records
    try:
        log.admin.make(log.old, log.new)
        return _copy_and_switch(rewrite, active, log.tables.make(log.new), report)
    except BaseException:
        _abort(log, report)
        raise


def _copy_and_switch(
    rewrite: Rewrite, active: Instance, number: int, report: Report
) -> tuple[int, float]:
    log, schema = rewrite.log, schema_name(number)

    def copy_and_build(*, is_last: bool) -> Sequence[int]:
        ends = rewrite.copy_up_to_now(is_last=is_last)
        report("Making tables from the copy.")
        replays.run(rewrite.copy.next_offsets, lambda _done: None, lambda: False)
        return ends

    replays = Replays(log.new, schema, reverted=active.reverted)
    with contextlib.closing(replays):
        copy_and_build(is_last=False)
        held_at_s = _hold(log, active.schema, report)
        ends = copy_and_build(is_last=True)
        left_out = copy_side_topics(log, rewrite.subject)
    report("Proving the copy, record by record.")
    rewrite.copy.check(rewrite.check_copied)
    report("Comparing the tables with the live ones.")
    rewrite.check_tables((active.schema, schema))
    log.tables.switch(active, number, ends, log.command)
    return left_out, held_at_s


def _abort(log: Log, report: Report) -> None:
    if _is_switched(log):
        # The answer to the switch was lost, but not the switch.
        raise MoveFailedError("the tables are switched: start it again, which completes it")
    report("Giving up: the log goes on as it was.")
    _undo_broken_off(log, read_ledger(log.old))


def _hold(log: Log, schema: str, report: Report) -> float:
    """Hold and close the log; wait until its jobs have ended and the tables have read it all.

    Returns:
        The monotonic time at which it was held.

    Raises:
        MoveRefusedError: jobs do not end, or no processor works.
    """
    report("Holding the log: uploads and writes are answered with 503.")
    held_at_s = time.monotonic()
    append_stage(log.old, log.new, "HELD", command=log.command)
    jobs = [job.accepted.job_id for job in read_ledger(log.old).jobs]
    _wait(
        lambda: not log.tables.unfinished(schema, jobs),
        "Jobs that were accepted before do not end: let them end first.",
    )
    log.admin.close(log.old.topics.user_events)
    ends = log.admin.ends(log.old.topics.user_events)
    _wait(
        lambda: log.tables.next_offsets(schema) == ends and not log.tables.unsent(schema),
        "The processors have not read the log to its end: start them, or let them catch up.",
    )
    return held_at_s


def _wait(is_done: Callable[[], bool], why: str) -> None:
    deadline_s = time.monotonic() + _PATIENCE_S
    while not is_done():
        if time.monotonic() > deadline_s:
            raise MoveRefusedError(why)
        time.sleep(_PAUSE_S)


def resume(log: Log, held_at_s: float) -> float:
    """Let everybody go on in the new log; return the seconds that the old one was held."""
    if not read_ledger(log.old).moves.moved_to:
        append_stage(log.old, log.new, "MOVED", command=log.command)
    held_s = time.monotonic() - held_at_s
    # Services of earlier versions do not know that nothing counts there any more.
    log.admin.close(log.old.topics.job_events)
    time.sleep(_NOTICED_S)
    log.tables.drop_others()
    return held_s
