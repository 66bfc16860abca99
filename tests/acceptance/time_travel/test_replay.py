"""The log is the truth: the tables can be made from it again."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo

from tests.support.data.files import dirty_csv, tidy_csv
from tests.support.servers.rig import JOB_TIMEOUT_S
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from tests.support.servers.rig import Rig

_USERS = "SELECT * FROM users ORDER BY key"
_STATES = "SELECT job_id, state FROM jobs ORDER BY job_id"
_REJECTIONS = "SELECT * FROM rejections ORDER BY job_id, record_number"


def test_tables_made_from_the_log_again_are_the_same(rig: Rig) -> None:
    """In another database, by two workers instead of one that was killed: ids, times and all."""
    rng = random.Random(11)
    rig.submit(tidy_csv(range(20_000)))
    for mode in ("upsert", "insert", "delsert", "upsert"):
        rig.submit(dirty_csv(rng, 8000, keys=12_000), mode)
        rig.processors[0].kill()
        rig.restart_processor()
    rig.assert_as_modelled()
    name = f"{rig.env.settings.group}_again"
    with psycopg.connect(rig.env.conninfo, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    conninfo = make_conninfo(rig.env.conninfo, dbname=name)
    replaying = [rig.services.processor(database_url=conninfo, group=name) for _ in range(2)]
    wait_until(
        lambda: _select(conninfo, _STATES) == _select(rig.env.conninfo, _STATES),
        JOB_TIMEOUT_S,
        saying="every job has ended in the new tables too",
    )
    for query in (_USERS, _REJECTIONS):
        assert _select(conninfo, query) == _select(rig.env.conninfo, query)
    for worker in replaying:
        assert worker.terminate() == 0
    with psycopg.connect(rig.env.conninfo, autocommit=True) as connection:
        connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


def _select(conninfo: str, query: str) -> list[tuple[object, ...]]:
    try:
        with psycopg.connect(conninfo) as connection:
            return connection.execute(query.encode()).fetchall()
    except psycopg.errors.UndefinedTable:
        return []
