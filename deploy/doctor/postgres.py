"""Looks at Postgres: version, clock, rights of the role, and Rollcall's tables."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, LiteralString

from psycopg import sql
from psycopg.rows import dict_row

from deploy.doctor.finding import Finding, judged
from processor.errors import NotReadyError, RefusedToStartError
from processor.kafka.log_description import describe_log
from processor.tables.setup import check_tables
from schemas.read_model import tables as read_model

if TYPE_CHECKING:
    from collections.abc import Iterator

    import psycopg

    from schemas.config.settings import Settings

_LEAST_VERSION: Final = 15
_MOST_SKEW_S: Final = 2.0
_SERVICES: Final = {"processor": "process", "builder": "process", "api": "serve"}
"""What names its sessions after itself, and the command that runs it."""
_LOOK: LiteralString = """
SELECT current_setting('server_version_num')::int / 10000 AS version,
       current_setting('server_version') AS version_text,
       extract(epoch FROM clock_timestamp())::float8 AS now_s,
       current_user AS role,
       has_database_privilege(current_database(), 'CREATE') AS may_create,
       has_schema_privilege('public', 'CREATE') AS may_create_in_public,
       pg_size_pretty(pg_database_size(current_database())) AS size,
       to_regclass('public.projection_instance') IS NOT NULL AS has_registry,
       to_regclass('rollcall_api.account') IS NOT NULL AS has_api
"""
_SESSIONS: LiteralString = """
SELECT split_part(split_part(application_name, '@', 1), '-', 2) AS service,
       count(DISTINCT application_name) AS processes
FROM pg_stat_activity
WHERE datname = current_database() AND application_name LIKE 'rollcall-%%'
GROUP BY 1
"""
_FOREIGN: LiteralString = """
SELECT string_agg(DISTINCT nspname, ', ') AS names FROM pg_namespace
WHERE (nspname LIKE 'projection\\_%%' OR nspname = 'rollcall_api')
  AND NOT pg_has_role(nspowner, 'USAGE')
"""
_ACTIVE: LiteralString = """
SELECT number, version FROM public.projection_instance WHERE state = 'active'
"""
_FAILED: LiteralString = """
SELECT number, purpose, failure FROM public.projection_instance AS last
WHERE state = 'failed' AND number = (
    SELECT max(number) FROM public.projection_instance WHERE purpose = last.purpose)
"""


@dataclass(frozen=True, slots=True)
class _Session:
    """A session, and what it has seen first."""

    connection: psycopg.Connection
    seen: dict[str, Any]

    def rows(self, query: LiteralString) -> list[dict[str, Any]]:
        with self.connection.cursor(row_factory=dict_row) as cursor:
            return cursor.execute(query).fetchall()


def postgres_findings(settings: Settings, connection: psycopg.Connection) -> Iterator[Finding]:
    """Yield what there is to say of Postgres.

    Raises:
        psycopg.Error: it does not answer any more.
    """
    with connection.cursor(row_factory=dict_row) as cursor:
        asked_s = time.time()
        seen = cursor.execute(_LOOK).fetchone() or {}
        skew_s = seen["now_s"] - (asked_s + time.time()) / 2
    session = _Session(connection, seen)
    too_old = f"version {seen['version_text']}" if seen["version"] < _LEAST_VERSION else None
    fine = f"version {seen['version_text']}, {seen['size']}"
    yield judged("postgres", fine, too_old, f"upgrade to {_LEAST_VERSION} or later")
    wrong = abs(skew_s) > _MOST_SKEW_S
    fault = f"this machine's clock and that of Postgres are {abs(skew_s):.1f} s apart"
    yield judged(
        "clock",
        f"this machine's and that of Postgres agree within {max(0.1, abs(skew_s)):.1f} s",
        fault if wrong else None,
        "have both set by NTP",
    )
    yield _rights(session)
    yield _tables(settings, session)
    if seen["has_registry"]:
        yield _builds(session)
    yield _services(session)
    yield _accounts(session)


def _rights(session: _Session) -> Finding:
    seen = session.seen
    missing = [
        *(["GRANT CREATE ON DATABASE …"] if not seen["may_create"] else []),
        *(["GRANT CREATE ON SCHEMA public"] if not seen["may_create_in_public"] else []),
    ]
    faults = [f"the role {seen['role']} may not make its tables"] if missing else []
    if others := session.rows(_FOREIGN)[0]["names"]:
        faults.append(f"{others} belong to another role")
        missing.append("run all services as one role, or ALTER SCHEMA … OWNER TO it")
    fine = f"the role {seen['role']} may do what it must"
    return judged("rights", fine, "; ".join(faults) or None, ", ".join(missing))


def _tables(settings: Settings, session: _Session) -> Finding:
    active = session.rows(_ACTIVE) if session.seen["has_registry"] else []
    if not active:
        return Finding("tables", "todo", "there are none yet", "run `rollcall process`")
    number, version = active[0]["number"], active[0]["version"]
    schema = read_model.schema_name(number)
    if version != read_model.VERSION:
        fault = f"version {version}, and this program has version {read_model.VERSION}"
        return Finding(
            "tables", "todo", fault, "run `rollcall process` of this version: it builds them anew"
        )
    try:
        with session.connection.cursor() as cursor:
            check_tables(cursor, settings, schema, describe_log(settings))
    except (NotReadyError, RefusedToStartError) as error:
        return Finding("tables", "todo", str(error))
    users = sql.SQL("SELECT count(*) FROM {}.users").format(sql.Identifier(schema))
    row = session.connection.execute(users).fetchone()
    fine = f"version {version}, built from this log, in {schema}; {row[0] if row else 0:,} users"
    return Finding("tables", "fine", fine)


def _builds(session: _Session) -> Finding:
    failed = [
        f"{each['number']} ({each['purpose']}): {each['failure']}" for each in session.rows(_FAILED)
    ]
    return judged(
        "builds",
        "the last rebuild, undo and upgrade did not fail",
        f"failed: {'; '.join(failed)}" if failed else None,
        "`rollcall projections` says when it is tried again",
    )


def _services(session: _Session) -> Finding:
    found = {each["service"]: each["processes"] for each in session.rows(_SESSIONS)}
    missing = [service for service in _SERVICES if service not in found]
    remedy = " and ".join(dict.fromkeys(f"`rollcall {_SERVICES[each]}`" for each in missing))
    return judged(
        "services",
        ", ".join(f"{found.get(service, 0)} {service}" for service in _SERVICES) + " connected",
        f"no {' and no '.join(missing)} is connected" if missing else None,
        f"start {remedy}",
    )


def _accounts(session: _Session) -> Finding:
    query: LiteralString = "SELECT count(*) AS accounts FROM rollcall_api.account"
    accounts = session.rows(query)[0]["accounts"] if session.seen["has_api"] else 0
    return judged(
        "accounts",
        f"accounts: {accounts}",
        "there is no account, so no password gets in" if not accounts else None,
        "`rollcall accounts reset-password admin` makes the first one",
    )
