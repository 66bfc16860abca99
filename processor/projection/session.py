"""The Postgres session of a worker or replay, and its claim on partitions (the epoch).

A worker owns a partition because it claimed it last: a claim raises ``epoch``,
and every batch's fence names the epoch it was claimed with.
A holder that was frozen in the middle of a transaction still locks its row; a
claim that meets such a lock ends the holder's session.

``synchronous_commit`` is off: rows and ``next_offset`` are lost together, if
ever, and the log gives them again (PostgreSQL manual, "Asynchronous Commit").
"""

from __future__ import annotations

import os
import socket
from typing import TYPE_CHECKING, Final, LiteralString

import psycopg
import structlog
from psycopg import errors, sql
from psycopg.conninfo import make_conninfo

from processor.decoding.accept_rule import PartitionState
from processor.errors import RecordRefusedError, RefusedToStartError, SwitchedError
from processor.projection.staging_table import STAGING_TABLE
from processor.tables.instance_registry import fetch_active
from schemas.rules.attributes import Attribute
from schemas.runtime.outage import POSTGRES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from schemas.config.settings import Settings

APPLICATION: Final = "rollcall-processor"
_SESSION_SETTINGS: Final = {
    "TimeZone": "UTC",
    "synchronous_commit": "off",
    "work_mem": "64MB",
    "maintenance_work_mem": "128MB",
    # The staging table has no statistics: without these the planner may read a
    # whole leaf for a batch of ten rows.
    "enable_seqscan": "off",
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
    "jit": "off",
    # A worker that was frozen in its transaction holds rows of jobs, which others wait for in
    # theirs; only a claim ends its session, and who waits for ever never claims.
    "lock_timeout": "5s",
}
_CLAIM: LiteralString = """
UPDATE {schema}.projection_offset
SET epoch = epoch + 1, holder_pid = pg_backend_pid()
WHERE topic = %(topic)s AND partition = ANY(%(partitions)s)
RETURNING partition, epoch, next_offset, is_indexed, sealed_job_id, open_job_id, open_mode,
          open_fills, next_sequence, digest, keeps_opt_outs, has_opt_outs,
          requires_digests, generation
"""
_ATTRIBUTES: LiteralString = """
SELECT partition, name, known.type, is_reconciliation_key, is_indexed
FROM {schema}.attribute_partition AS known JOIN {schema}.attribute USING (name)
WHERE partition = ANY(%(partitions)s)
"""
_END_HOLDERS: LiteralString = """
SELECT pg_terminate_backend(pid)
FROM pg_stat_activity
WHERE pid <> pg_backend_pid() AND starts_with(application_name, %(application)s)
  AND pid IN (SELECT holder_pid FROM {schema}.projection_offset
              WHERE topic = %(topic)s AND partition = ANY(%(partitions)s))
"""
_KEEPALIVES: Final = {"keepalives_idle": 10, "keepalives_interval": 5, "keepalives_count": 3}
_UNANSWERED_MS: Final = 30_000
# Of the server's end of the connection, which the client's settings say nothing to: a session
# whose client has vanished keeps its locks until the server notices, by itself after two hours.
# On a Unix socket these change nothing (PostgreSQL manual, "Connection Settings").
# A client that only takes its time, as a verification that waits for Kafka, has minutes.
_SERVER_SETTINGS: Final = {
    **{f"tcp_{name}": value for name, value in _KEEPALIVES.items()},
    "tcp_user_timeout": 300_000,
}
_SET: LiteralString = """
SELECT set_config(name, value, false) FROM unnest(%s::text[], %s::text[]) AS given (name, value)
"""
_TRANSIENT: Final = (
    errors.OperationalError,  # connections, shutdowns, locks, serialisation, out of resources
    errors.IdleInTransactionSessionTimeout,  # the session was ended, as by a shutdown
    errors.InterfaceError,  # the connection was closed under us
    errors.ReadOnlySqlTransaction,  # a standby that is being promoted
)
_OF_DATA: Final = ("21", "22", "23", "54")
"""Classes of SQLSTATE, the same appendix: cardinality, data, integrity, limits of the program."""
_PERMANENT: Final = (
    errors.InvalidPassword,
    errors.InvalidAuthorizationSpecification,
    errors.InvalidCatalogName,
)


def is_of_data(error: BaseException) -> bool:
    """Return whether the tables refuse what was written, today and whenever it is tried again."""
    if isinstance(error, errors.Error) and error.sqlstate is not None:
        return error.sqlstate[:2] in _OF_DATA
    # psycopg itself finds some values unfit, and gives those no SQLSTATE.
    return isinstance(error, (RecordRefusedError, errors.DataError))


def is_transient(error: BaseException) -> bool:
    """Return whether the same work may succeed later; decided here and nowhere else.

    PostgreSQL manual, appendix A: classes 08, 40, 53, 55P03, 57 and 58 are
    OperationalError in psycopg, and so is 54, which is not; of class 25 a standby's refusal and
    the end of an idle transaction pass; all others are faults of ours or of the set-up.
    """
    is_permanent = isinstance(error, _PERMANENT) or is_of_data(error)
    return isinstance(error, _TRANSIENT) and not is_permanent


class ProjectionSession:
    """One session, made again when it breaks."""

    def __init__(
        self,
        settings: Settings,
        schema: str,
        *,
        is_live: bool = True,
        reverted: frozenset[int] | None = None,
        session_settings: Mapping[str, str] | None = None,
    ) -> None:
        """``is_live``: the schema must be that of the active instance at each claim.

        ``reverted``: and these the jobs that it leaves out, where they are given.

        ``session_settings``: those of Postgres that differ from a worker's.
        """
        self._settings = settings
        self._schema = schema
        self._is_live = is_live
        self._reverted = reverted
        self._session_settings = _SESSION_SETTINGS | dict(session_settings or {})
        self._connection: psycopg.Connection | None = None

    def connection(self) -> psycopg.Connection:
        """Return the session, connected where it was not.

        Raises:
            psycopg.OperationalError: when Postgres cannot be reached.
        """
        if self._connection is None or self._connection.closed:
            self._connection = self._connect()
        return self._connection

    def close(self) -> None:
        """Drop the session; what was not committed is rolled back."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def claim(self, partitions: list[int]) -> dict[int, tuple[PartitionState, int]]:
        """Become the only writer of these partitions; of none it only asks who is active.

        Returns:
            By partition, where to go on from, and the generation it writes to.

        Raises:
            SwitchedError: another instance is the active one now, or it leaves out other jobs.
        """
        try:
            return self._claim(partitions)
        except errors.LockNotAvailable:
            self._end_holders(partitions)
            return self._claim(partitions)

    def _claim(self, partitions: list[int]) -> dict[int, tuple[PartitionState, int]]:
        connection = self.connection()
        if not partitions:
            self._check_active(connection)
            return {}
        with connection.transaction():
            connection.execute("SET LOCAL lock_timeout = '2s'")
            rows = connection.execute(self._sql(_CLAIM), self._parameters(partitions)).fetchall()
            # Behind the claim, which waits for a switch under way.
            self._check_active(connection)
            # Behind the claim: whoever held a partition can define nothing there any more.
            attributes = self._attributes(connection, partitions)
        if len(rows) != len(partitions):
            raise RefusedToStartError(
                f"user-events has partitions {partitions}, the projection knows {len(rows)} of "
                "them: partitions were added to the topic. Take them out, or move the log."
            )
        return {
            row[0]: (PartitionState(*row[:-1], attributes=attributes[row[0]]), row[-1])
            for row in rows
        }

    def _check_active(self, connection: psycopg.Connection) -> None:
        if not self._is_live:
            return
        active = fetch_active(connection.cursor())
        if active is None or active.schema != self._schema:
            raise SwitchedError(f"{self._schema} is not the active instance any more")
        if self._reverted is not None and active.reverted != self._reverted:
            raise SwitchedError(f"{self._schema} leaves out other jobs now")

    def _attributes(
        self, connection: psycopg.Connection, partitions: list[int]
    ) -> dict[int, dict[str, Attribute]]:
        found: dict[int, dict[str, Attribute]] = {partition: {} for partition in partitions}
        for partition, *definition in connection.execute(
            self._sql(_ATTRIBUTES), {"partitions": partitions}
        ):
            attribute = Attribute(*definition)
            found[partition][attribute.name] = attribute
        return found

    def _end_holders(self, partitions: list[int]) -> None:
        log = structlog.stdlib.get_logger("rollcall.processor")
        log.warning("ending the session that blocks a claim", partitions=partitions)
        parameters = self._parameters(partitions) | {"application": APPLICATION}
        self.connection().execute(self._sql(_END_HOLDERS), parameters)

    def _parameters(self, partitions: list[int]) -> dict[str, object]:
        return {"topic": self._settings.topics.user_events.name, "partitions": partitions}

    def _sql(self, statement: LiteralString) -> sql.Composed:
        return sql.SQL(statement).format(schema=sql.Identifier(self._schema))

    def _connect(self) -> psycopg.Connection:
        connection = connect(self._settings, APPLICATION)
        _configure(connection, self._session_settings)
        connection.execute(STAGING_TABLE)
        connection.prepare_threshold = 2
        connection.prepared_max = 500
        return connection


def connect(settings: Settings, application: str) -> psycopg.Connection:
    """Return a session in autocommit mode that notices a dead server within half a minute.

    The server notices a dead client as soon, and frees what its session has locked; one that dies
    with an answer on its way, within five minutes.

    Raises:
        psycopg.OperationalError: when Postgres cannot be reached.
    """
    try:
        connection = psycopg.connect(
            make_conninfo(settings.database_url, **_KEEPALIVES, tcp_user_timeout=_UNANSWERED_MS),
            autocommit=True,
            connect_timeout=5,
            application_name=f"{application}@{socket.gethostname()}:{os.getpid()}",
        )
        try:
            _configure(connection, _SERVER_SETTINGS)
        except psycopg.Error:
            connection.close()
            raise
    except psycopg.OperationalError:
        POSTGRES.suspect()
        raise
    return connection


def _configure(connection: psycopg.Connection, settings: Mapping[str, str | int]) -> None:
    names, values = list(settings), list(map(str, settings.values()))
    connection.execute(_SET, (names, values))
