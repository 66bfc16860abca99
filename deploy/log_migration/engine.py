"""A move of a log from its beginning to its end, whatever its copy is made for.

What differs is a :class:`Rewriting`: how `user-events` is written anew, and what is proved of it.
"""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, Generic, LiteralString, Protocol, TypeVar

import psycopg
from confluent_kafka import KafkaException

from deploy.log_migration import MoveError, MoveFailedError, MoveRefusedError
from deploy.log_migration.log_state import read_ledger, say
from deploy.log_migration.side_topics import copy_side_topics
from deploy.log_migration.tables import Tables
from deploy.log_migration.topic_admin import TopicAdmin
from ingest_api.kafka.log_setup import LogMismatchError, at_current_version, ensure_log
from ingest_api.kafka.topic_setup import TopicSetupError
from processor.builder.parallel_replay import Replays
from processor.projection.session import connect
from schemas.read_model.tables import schema_name

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence

    from deploy.log_migration.erase.data_subject import Person
    from deploy.log_migration.log_copy import LogCopy
    from deploy.log_migration.records import CopiedRecord
    from ingest_api.event_log.ledger import JobLedger
    from processor.tables.instance_registry import Instance
    from schemas.config.settings import Settings

    Tell = Callable[[str], None]
    """Says to the operator what is being done."""

FAILURES: Final = (
    MoveError,
    TopicSetupError,
    LogMismatchError,
    KafkaException,
    psycopg.OperationalError,
)
"""What a move may end with that its message explains to an operator."""
_APPLICATION: Final = "rollcall-log-move"
_TRY_LOCK: LiteralString = "SELECT pg_try_advisory_lock(hashtextextended('rollcall:log-move', 0))"
_PATIENCE_S: Final = 120.0
"""For jobs that run, and for processors that are behind, while the log is held."""
_PAUSE_S: Final = 0.2
_NOTICED_S: Final = 5.0
"""An idle worker looks every two seconds whether its tables are still the active ones."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Log:
    """A log that is moved: its topics now and to be, the means, and what moves it."""

    old: Settings
    new: Settings
    admin: TopicAdmin
    tables: Tables
    connection: psycopg.Connection
    command: str


class Rewriting(Protocol):
    """How `user-events` is written anew, and what is proved of it; whatever it does may refuse.

    ``log`` has the next version as it is wanted, ``copy`` is what is written;
    ``person``: whose dead letters are left out.
    """

    log: Log
    copy: LogCopy
    person: Person | None

    def copy_on(self, *, is_last: bool) -> Sequence[int]:
        """Write up to where the log is now, and return that; jobs may wait for the last time."""
        ...

    def look(self, partition: int, records: Sequence[CopiedRecord]) -> None:
        """Return where these records, read back from the copy, may stand there."""
        ...

    def check_tables(self, schemas: tuple[str, str]) -> None:
        """Return where the tables made from the copy say of the live ones what they are to say."""
        ...


_R = TypeVar("_R", bound=Rewriting)


@dataclass(frozen=True, slots=True)
class Moved(Generic[_R]):
    """A log that was moved.

    ``rewriting``: what was written anew; None where a move that was broken off was completed.
    """

    log: Log
    rewriting: _R | None
    dead_letters_left_out: int
    held_s: float


@contextlib.contextmanager
def locked(settings: Settings) -> Generator[psycopg.Connection]:
    """A session that alone moves the log.

    Raises:
        MoveRefusedError: another process does.
    """
    with connect(settings, _APPLICATION) as connection:
        row = connection.execute(_TRY_LOCK).fetchone()
        if not (row and row[0]):
            raise MoveRefusedError("The log is being moved by another process.")
        yield connection


def find_log(settings: Settings, connection: psycopg.Connection, command: str) -> Log:
    """The log as it is; the next version has the partitions of a move that was broken off.

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
    tell: Tell,
    *,
    keeps_old: bool = False,
) -> Moved[_R]:
    """Move the log as ``begin`` will have it; a move that was broken off is completed or undone.

    Blocks while it copies the log; interrupted or killed at any time, it leaves the log either
    as it was or to be completed by the next call.

    Raises:
        MoveRefusedError, MoveFailedError: the log is as it was.
    """
    ledger = read_ledger(log.old)
    if _is_switched(log):
        _check_same_command(log, ledger)
        tell("A move that was broken off is completed.")
        rewriting, left_out, held_at_s = None, 0, time.monotonic()
    else:
        _undo_broken_off(log, ledger)
        with begin(log) as rewriting:
            log = rewriting.log
            if not keeps_old:
                _remove_earlier(log, tell)
            left_out, held_at_s = _attempt(rewriting, tell)
    held_s = let_go_on(log, held_at_s)
    if not keeps_old:
        log.admin.delete(_earlier_topics(log.new))
    return Moved(log, rewriting, left_out, held_s)


def _is_switched(log: Log) -> bool:
    """Whether the tables are those of the new version already, and only the log lags behind."""
    topic = log.tables.topic(log.tables.active().schema)
    return log.old.version_of(topic) == log.new.log_version


def _check_same_command(log: Log, ledger: JobLedger) -> None:
    """Return where the move that was broken off is one of this command.

    Raises:
        MoveRefusedError: it is not, and so says what it was made for.
    """
    last = ledger.moves.last
    if last is not None and last.command != log.command:
        raise MoveRefusedError(
            f"A move by `rollcall {last.command}` was broken off when it was almost done:"
            " start that command again first, which completes it."
        )


def afresh(log: Log, wanted: Settings) -> Log:
    """The log with a next version as is wanted, whatever was begun before."""
    return replace(log, new=wanted.at_version(log.old.log_version + 1))


def _remove_earlier(log: Log, tell: Tell) -> None:
    """Remove what a move that died at its very end, or was told to, has kept."""
    earlier = _earlier_topics(log.old) & log.admin.names()
    if earlier:
        tell("Removing the topics and tables of earlier versions of the log.")
        log.tables.drop_others()
        log.admin.delete(earlier)


def _earlier_topics(settings: Settings) -> set[str]:
    """Topics of the versions before this one, but for `job-events`: they say what comes after."""
    versions = [settings.at_version(number).topics for number in range(1, settings.log_version)]
    return {
        topic.name for topics in versions for topic in topics.all() if topic != topics.job_events
    }


def _undo_broken_off(log: Log, ledger: JobLedger) -> None:
    """Put back what a move that died has left; the log goes on as it was."""
    if ledger.moves.is_held:
        say(log.old, log.new, "RELEASED", command=log.command)
    log.admin.open(log.old.topics.user_events, log.new.topics.user_events)
    log.admin.delete(topic.name for topic in log.new.topics.all())
    log.tables.drop_orphans()


def _attempt(rewriting: Rewriting, tell: Tell) -> tuple[int, float]:
    """Copy, hold, prove and switch, or give up as a whole.

    Returns:
        How many dead letters were left out, and since when the log has been held.
    """
    log, active = rewriting.log, rewriting.log.tables.active()
    log.tables.check_none_is_built()
    log.admin.ends(log.old.topics.user_events)  # refuses a log without its first records
    try:
        log.admin.make(log.old, log.new)
        return _switched(rewriting, active, log.tables.make(log.new), tell)
    except BaseException:
        _give_up(log, tell)
        raise


def _switched(rewriting: Rewriting, active: Instance, number: int, tell: Tell) -> tuple[int, float]:
    log, schema = rewriting.log, schema_name(number)

    def copy_and_build(*, is_last: bool) -> Sequence[int]:
        ends = rewriting.copy_on(is_last=is_last)
        tell("Making tables from the copy.")
        replays.run(rewriting.copy.next_offsets, lambda _done: None, lambda: False)
        return ends

    replays = Replays(log.new, schema, reverted=active.reverted)
    with contextlib.closing(replays):
        copy_and_build(is_last=False)
        held_at_s = _hold(log, active.schema, tell)
        ends = copy_and_build(is_last=True)
        left_out = copy_side_topics(log, rewriting.person)
    tell("Proving the copy, record by record.")
    rewriting.copy.check(rewriting.look)
    tell("Comparing the tables with the live ones.")
    rewriting.check_tables((active.schema, schema))
    log.tables.switch(active, number, ends, log.command)
    return left_out, held_at_s


def _give_up(log: Log, tell: Tell) -> None:
    if _is_switched(log):
        # The answer to the switch was lost, but not the switch.
        raise MoveFailedError("the tables are switched: start it again, which completes it")
    tell("Giving up: the log goes on as it was.")
    _undo_broken_off(log, read_ledger(log.old))


def _hold(log: Log, schema: str, tell: Tell) -> float:
    """Nobody is told anything more of this log on return, and the tables have read it all.

    Returns:
        Since when it has been held, by the monotonic clock.

    Raises:
        MoveRefusedError: jobs do not end, or no processor works.
    """
    tell("Holding the log: uploads and writes are answered with 503.")
    held_at_s = time.monotonic()
    say(log.old, log.new, "HELD", command=log.command)
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


def let_go_on(log: Log, held_at_s: float) -> float:
    """After the switch of the tables: everybody goes on in the new log; seconds it was held."""
    if not read_ledger(log.old).moves.moved_to:
        say(log.old, log.new, "MOVED", command=log.command)
    held_s = time.monotonic() - held_at_s
    # For services of earlier code, which do not know that nothing counts there any more.
    log.admin.close(log.old.topics.job_events)
    time.sleep(_NOTICED_S)
    log.tables.drop_others()
    return held_s
