"""Jobs left out of the tables in use without building others: those that no partition has opened.

Tables that hold nothing of a job are the same with and without it, so the active instance
only has to know that it is to be left out.  Its workers are fenced while that is written, and
claim again with the other set of jobs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, LiteralString

import structlog
from psycopg import errors, sql

from processor.tables import instance_registry
from schemas.read_model.tables import HIDE_CANCELLED

if TYPE_CHECKING:
    from collections.abc import Iterable

    import psycopg

    from processor.tables.instance_registry import Instance
    from schemas.log.reverts import Reverts

_OPENED: LiteralString = "SELECT job_id FROM {schema}.job WHERE job_id = ANY(%(job_ids)s)"
_LEAVE_OUT: LiteralString = """
UPDATE public.projection_instance SET reverted_job_ids = %(reverted)s WHERE number = %(number)s
"""
_log = structlog.stdlib.get_logger("rollcall.builder")


def leave_out_unopened(
    connection: psycopg.Connection, active: Instance, wanted: frozenset[int]
) -> bool:
    """Let the active instance leave out what is wanted of jobs that it has not opened.

    Returns:
        Whether to look again before tables are built: it changed something, or nothing else is
        to be changed, and somebody is in the way for now.
    """
    changed = active.reverted ^ wanted
    opened = _opened(connection, active, changed)
    if not changed - opened:
        return False
    try:
        with connection.transaction(), connection.cursor() as cursor:
            cursor.execute("SET LOCAL lock_timeout = '2s'")
            instance_registry.hold(cursor, active)
            # Behind the fence: nobody opens one of them any more without knowing.
            unopened = changed - _opened(connection, active, changed)
            reverted = sorted(active.reverted ^ unopened)
            cursor.execute(_LEAVE_OUT, {"reverted": reverted, "number": active.number})
    except (errors.LockNotAvailable, errors.DeadlockDetected) as error:
        _log.info("leaving out put off", reason=str(error).strip())
        return not opened
    _log.info("jobs left out before they began", job_ids=sorted(map(str, unopened)))
    return True


def hide_cancelled(connection: psycopg.Connection, active: Instance, reverts: Reverts) -> None:
    """Note which delserts must never be shown, although the tables don't leave them out yet."""
    if hidden := reverts.cancelled() - active.reverted:
        connection.execute(HIDE_CANCELLED, {"job_ids": sorted(hidden)})


def _opened(
    connection: psycopg.Connection, active: Instance, job_ids: Iterable[int]
) -> frozenset[int]:
    statement = sql.SQL(_OPENED).format(schema=sql.Identifier(active.schema))
    rows = connection.execute(statement, {"job_ids": sorted(job_ids)})
    return frozenset(row[0] for row in rows)
