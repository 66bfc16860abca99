"""Switches the views in ``public``, which readers use, from one instance's tables to another's."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from psycopg import errors, sql

from schemas.read_model import tables as read_model

if TYPE_CHECKING:
    import psycopg


def show(cursor: psycopg.Cursor, schema: str, version: int = read_model.VERSION) -> None:
    """Let the views in ``public`` show the instance; of other columns they are made anew.

    Hardly waits for readers: while it did, all that come after them would wait for it.

    Raises:
        psycopg.errors.LockNotAvailable: a reader is in a transaction with one of them.
    """
    cursor.execute("SET LOCAL lock_timeout = '100ms'")
    views = sql.SQL(read_model.public_views(version)).format(schema=sql.Identifier(schema))
    try:
        with cursor.connection.transaction():
            cursor.execute(views)
    except errors.InvalidTableDefinition:
        cursor.execute(read_model.drop_public_views())
        cursor.execute(views)


def show_earlier(cursor: psycopg.Cursor, schema: str, version: int) -> None:
    """Let tables of an earlier version be read as ours until new ones take their place.

    Columns that came since have a fixed value.  Where readers are in the way it is for the next
    try.
    """
    if version < read_model.READABLE_SINCE:
        return
    if cursor.execute(read_model.LACKS_ADDED, read_model.ADDED).fetchone():
        with contextlib.suppress(errors.LockNotAvailable), cursor.connection.transaction():
            show(cursor, schema, version)
