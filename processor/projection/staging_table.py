"""The staging table of a session, and COPY into it and into other tables."""

from __future__ import annotations

from typing import TYPE_CHECKING, LiteralString

from psycopg import sql

from schemas.read_model.copy_binary import COPY_HEADER, COPY_TRAILER
from schemas.read_model.tables import STAGED_USER

if TYPE_CHECKING:
    from collections.abc import Sequence

    import psycopg

    from schemas.rules.notes import Note
    from schemas.rules.rejections import FoundRejection

STAGING_TABLE: LiteralString = """
CREATE TEMPORARY TABLE IF NOT EXISTS staging (
    step integer NOT NULL,
    id bigint NOT NULL,
    round integer NOT NULL,
    mode text NOT NULL,
    <user>
    occurred_at timestamptz NOT NULL,
    job_id bigint,
    record_number integer,
    event_id text,
    user_id bigint
) ON COMMIT DELETE ROWS
""".replace("<user>", STAGED_USER)


def copy_into(
    cursor: psycopg.Cursor,
    table: sql.Identifier,
    columns: tuple[str, ...],
    inputs: Sequence[memoryview],
) -> None:
    """Write rows into a table by one COPY; ``inputs`` are pieces of binary COPY input."""
    with cursor.copy(copy_statement(table, columns, "binary")) as copy:
        for octets in (COPY_HEADER, *inputs, COPY_TRAILER):
            copy.write(octets)


def copy_found(
    cursor: psycopg.Cursor,
    table: sql.Identifier,
    columns: tuple[str, ...],
    found: Sequence[FoundRejection | Note],
) -> None:
    """Write rows that were found one by one; nothing is asked where there are none."""
    if found:
        with cursor.copy(copy_statement(table, columns, "text")) as copy:
            for each in found:
                copy.write_row(each.as_row())


def copy_statement(
    table: sql.Identifier, columns: tuple[str, ...], copy_format: str
) -> sql.Composed:
    """Return the COPY statement for these columns; the format is ``text`` or ``binary``."""
    text: LiteralString = "COPY {table} ({columns}) FROM STDIN (FORMAT {format})"
    return sql.SQL(text).format(
        table=table,
        columns=sql.SQL(", ").join(sql.Identifier(column) for column in columns),
        format=sql.Identifier(copy_format),
    )
