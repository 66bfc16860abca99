"""What every move of a log does alike, whatever its copy is made for."""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, LiteralString, TypeVar

import psycopg
from confluent_kafka import KafkaException

from deploy.log_migration import MoveError, MoveFailedError, MoveRefusedError
from deploy.log_migration.log_state import read_ledger, say
from deploy.log_migration.tables import Tables
from deploy.log_migration.topic_admin import TopicAdmin
from ingest_api.kafka.log_setup import LogMismatchError, at_current_version, ensure_log
from ingest_api.kafka.topic_setup import TopicSetupError
from processor.projection.session import connect

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from ingest_api.event_log.ledger import JobLedger
    from schemas.config.settings import Settings

    Tell = Callable[[str], None]
    """Says to the operator what is being done."""

_T = TypeVar("_T")
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


def is_switched(log: Log) -> bool:
    """Whether the tables are those of the new version already, and only the log lags behind."""
    topic = log.tables.topic(log.tables.active().schema)
    return log.old.version_of(topic) == log.new.log_version


def check_same_command(log: Log, ledger: JobLedger) -> None:
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


def remove_earlier(log: Log, tell: Tell) -> None:
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


def undo_broken_off(log: Log, ledger: JobLedger) -> None:
    """Put back what a move that died has left; the log goes on as it was."""
    if ledger.moves.is_held:
        say(log.old, log.new, "RELEASED", command=log.command)
    log.admin.open(log.old.topics.user_events, log.new.topics.user_events)
    log.admin.delete(topic.name for topic in log.new.topics.all())
    log.tables.drop_orphans()


def check_can_begin(log: Log) -> None:
    """Before anything is copied.

    Raises:
        MoveRefusedError: an instance is being built, or the log does not begin at its first record.
    """
    log.tables.check_none_is_built()
    log.admin.ends(log.old.topics.user_events)


def attempt(log: Log, tell: Tell, move: Callable[[int], _T]) -> _T:
    """What ``move`` makes of a new instance's number, the tables switched; gives up as a whole.

    Raises:
        MoveFailedError: the tables are switched, but what came then is not done.
        Exception: what ``move`` raises; the log is as it was.
    """
    try:
        log.admin.make(log.old, log.new)
        return move(log.tables.make(log.new))
    except BaseException:
        _give_up(log, tell)
        raise


def _give_up(log: Log, tell: Tell) -> None:
    if is_switched(log):
        # The answer to the switch was lost, but not the switch.
        raise MoveFailedError("the tables are switched: start it again, which completes it")
    tell("Giving up: the log goes on as it was.")
    undo_broken_off(log, read_ledger(log.old))


def hold(log: Log, schema: str, tell: Tell) -> float:
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


def remove_old(log: Log) -> None:
    """Delete the topics that everybody has left."""
    log.admin.delete(_earlier_topics(log.new))
