r"""The yardstick: psql's \copy into a staging table, then one INSERT … SELECT … ON CONFLICT.

One connection, the wheel's psql, a table with the columns and indexes of a leaf of `user_row`.
It checks no value and says of no line what became of it.
"""

import subprocess
from pathlib import Path
from typing import Literal

import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo

from deploy.local_stack.postgres import binary
from schemas.read_model import tables as read_model

DATABASE = "bench_baseline"
_SCHEMA = sql.Identifier("projection")

_TARGET = """
CREATE TABLE target (LIKE projection.user_row INCLUDING DEFAULTS);
ALTER TABLE target ALTER generation SET DEFAULT 1, ALTER partition SET DEFAULT 0;
CREATE UNIQUE INDEX ON target (key COLLATE "C");
CREATE UNIQUE INDEX ON target (id);
"""
_LOAD = r"""
\set ON_ERROR_STOP on
\pset tuples_only on
\pset format unaligned
SET client_encoding = 'UTF8';
SET datestyle = 'ISO, MDY';
BEGIN;
CREATE TEMPORARY TABLE staging (
    first_name text, last_name text, email text, mobile_number text,
    country text, state text, last_active_date text
) ON COMMIT DROP;
SELECT extract(epoch FROM clock_timestamp());
\copy staging FROM '%(file)s' WITH (FORMAT csv, HEADER)
INSERT INTO target (
    id, key, first_name, last_name, email, mobile_number, country, state, last_active_date,
    sms_subscription, email_subscription, voice_subscription,
    attributes, created_at, modified_at, job_id, record_number
)
SELECT %(first_id)s + row_number() OVER (), lower(trim(email)), first_name, last_name,
    lower(trim(email)), mobile_number, country, state, last_active_date::date,
    true, true, true, '{}', now(), now(), 1, row_number() OVER ()
FROM staging
ON CONFLICT (key) %(on_conflict)s;
COMMIT;
SELECT extract(epoch FROM clock_timestamp());
"""
_ON_CONFLICT = {
    "insert": "DO NOTHING",
    "upsert": """DO UPDATE SET
    first_name = excluded.first_name, last_name = excluded.last_name, email = excluded.email,
    mobile_number = excluded.mobile_number, country = excluded.country, state = excluded.state,
    last_active_date = excluded.last_active_date, modified_at = excluded.modified_at,
    job_id = excluded.job_id, record_number = excluded.record_number""",
}


class Baseline:
    """A database of its own on a Postgres server; `conninfo` is of any database there."""

    def __init__(self, conninfo: str) -> None:
        self._conninfo = conninfo
        self._database = make_conninfo(conninfo, dbname=DATABASE)

    def reset(self) -> None:
        """Leaves the table empty, in a new database."""
        name = sql.Identifier(DATABASE)
        with psycopg.connect(self._conninfo, autocommit=True) as connection:
            connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(name))
            connection.execute(sql.SQL("CREATE DATABASE {}").format(name))
        with psycopg.connect(self._database) as connection:
            connection.execute(sql.SQL(read_model.ddl()).format(schema=_SCHEMA))
            connection.execute(_TARGET)

    def drop(self) -> None:
        """Takes the database away."""
        name = sql.Identifier(DATABASE)
        with psycopg.connect(self._conninfo, autocommit=True) as connection:
            connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(name))

    def load(self, file: Path, mode: Literal["insert", "upsert"]) -> float:
        r"""Seconds from the start of the \copy to the end of the COMMIT."""
        with psycopg.connect(self._database, autocommit=True) as connection:
            connection.execute("CHECKPOINT")
        script = _LOAD % {
            "file": str(file).replace("'", "''"),
            "first_id": 0 if mode == "insert" else 10**12,
            "on_conflict": _ON_CONFLICT[mode],
        }
        command = [str(binary("psql")), "--no-psqlrc", "--quiet", "--dbname", self._database]
        output = subprocess.run(
            command, input=script, capture_output=True, text=True, check=True
        ).stdout
        begin, end = (float(line) for line in output.split())
        return end - begin

    def rows(self) -> int:
        """How many users the table holds."""
        with psycopg.connect(self._database) as connection:
            row = connection.execute("SELECT count(*) FROM target").fetchone()
        return int(row[0]) if row else 0
