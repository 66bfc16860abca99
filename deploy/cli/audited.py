"""Has the audit log tell what commands do at the database, without the API."""

import getpass
import socket
from collections.abc import Generator
from contextlib import contextmanager
from typing import LiteralString

import psycopg

from deploy.cli.command_error import CommandError

_HAS_LOG: LiteralString = "SELECT to_regclass('rollcall_api.audit') IS NOT NULL"
_BEGIN: LiteralString = """
INSERT INTO rollcall_api.audit (account, kind, target, address) VALUES (%s, %s, %s, %s) RETURNING id
"""
_END: LiteralString = "INSERT INTO rollcall_api.audit (act_id, status) VALUES (%s, %s)"
_DONE, _FAILED = 200, 500
_NO_RIGHT = "the audit log can't be written: apply roles.sql once more (docs/deploy.md)"


@contextmanager
def audited(conninfo: str, kind: str, target: str | None = None) -> Generator[None]:
    """Record the act before the context, and at its end whether it was done.

    Raises:
        CommandError: the role of the database may not; nothing is done.
        psycopg.OperationalError: the database can't be reached.
    """
    try:
        with psycopg.connect(conninfo) as connection:
            number = begin_act(connection, kind, target)
    except psycopg.errors.InsufficientPrivilege:
        raise CommandError(_NO_RIGHT) from None
    status = _FAILED
    try:
        yield
        status = _DONE
    finally:
        with psycopg.connect(conninfo) as connection:
            end_act(connection, number, status)


def begin_act(connection: psycopg.Connection, kind: str, target: str | None) -> int | None:
    """Add the act of whoever runs the command; None where no API has made the audit log yet."""
    if not (connection.execute(_HAS_LOG).fetchone() or [False])[0]:
        return None
    values = (f"cli/{getpass.getuser()}", kind, target, socket.gethostname())
    row = connection.execute(_BEGIN, values).fetchone()
    return row[0] if row else None


def end_act(connection: psycopg.Connection, number: int | None, status: int = _DONE) -> None:
    """Add the result of the act."""
    if number is not None:
        connection.execute(_END, (number, status))
