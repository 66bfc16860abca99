"""Streams of rows: given up, broken and taken slowly."""

from __future__ import annotations

import asyncio
import gc
from typing import TYPE_CHECKING, LiteralString

import psycopg
import pytest

from ingest_api.errors import StoreUnavailableError, UnavailableError
from ingest_api.postgres import row_stream
from ingest_api.postgres.pool import Database
from ingest_api.postgres.row_stream import RowPieces, RowStreams
from tests.support.data.read_model_rows import ask
from tests.support.servers.surroundings import ground
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ingest_api.postgres.blocking_reader import BlockingReader
    from schemas.read_model.copy_csv import CopiedRows
    from tests.support.servers.surroundings import Surroundings

    Statement = Callable[[LiteralString], Callable[[BlockingReader], RowPieces]]

_MANY: LiteralString = "COPY (SELECT repeat('x', 1000) FROM generate_series(1, 1000000)) TO STDOUT"
_MANY_SHORT: LiteralString = "COPY (SELECT generate_series(1, 100000)) TO STDOUT"
_SLOW: LiteralString = "COPY (SELECT pg_sleep(600)) TO STDOUT"
_COUNT: LiteralString = """
SELECT count(*) FROM pg_stat_activity
WHERE datname = current_database() AND query LIKE 'COPY%%' AND pid <> pg_backend_pid()
"""
_TERMINATE: LiteralString = """
SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
WHERE datname = current_database() AND query LIKE 'COPY%%' AND pid <> pg_backend_pid()
"""


@pytest.fixture(scope="module")
def conninfo(surroundings_of_session: Surroundings) -> Iterator[str]:
    """A database."""
    with ground(surroundings_of_session) as made:
        yield made.conninfo


@pytest.fixture(params=["as they are taken", "ahead"])
def rows_of(request: pytest.FixtureRequest) -> Statement:
    """A stream with a piece for each row, read as it is taken, or in a thread of its own."""

    def of(statement: LiteralString) -> Callable[[BlockingReader], RowPieces]:
        def rows(reader: BlockingReader) -> RowPieces:
            copied = reader.copy(statement, block_bytes=1)
            blocks = reader.read_ahead(copied) if request.param == "ahead" else copied
            return RowPieces(row.text for row in blocks)

        return rows

    return of


def number(conninfo: str, statement: LiteralString) -> int:
    """The number that the statement answers."""
    with psycopg.connect(conninfo) as connection:
        row = connection.execute(statement, ()).fetchone()
    assert row is not None
    return row[0]


def wait_until_none_runs(conninfo: str) -> None:
    """Fail where Postgres still works for a stream."""
    wait_until(lambda: number(conninfo, _COUNT) == 0, 20, saying="no COPY runs")


def test_one_that_is_closed_early_frees_its_connection(conninfo: str, rows_of: Statement) -> None:
    """Whatever it has not sent yet."""

    async def leave(db: Database) -> int:
        stream = await RowStreams(db).open(rows_of(_MANY))
        pieces = stream.pieces()
        taken = len(await anext(pieces)) + len(await anext(pieces))
        await pieces.aclose()
        await stream.close()
        await stream.close()
        await asyncio.to_thread(wait_until_none_runs, conninfo)
        return taken

    assert ask(conninfo, leave) == 2 * 1001


def test_one_that_is_given_up_before_its_first_row_ends_the_statement(
    conninfo: str, rows_of: Statement
) -> None:
    """Postgres would go on for ten minutes."""

    async def leave(db: Database) -> None:
        opening = asyncio.create_task(RowStreams(db).open(rows_of(_SLOW)))
        await asyncio.to_thread(
            wait_until, lambda: number(conninfo, _COUNT) == 1, 20, saying="the COPY runs"
        )
        opening.cancel()
        with pytest.raises(asyncio.CancelledError):
            await opening
        await asyncio.to_thread(wait_until_none_runs, conninfo)

    ask(conninfo, leave)


def test_a_connection_that_breaks_breaks_the_stream(conninfo: str, rows_of: Statement) -> None:
    """It never ends as if it were whole."""

    async def read(db: Database) -> None:
        stream = await RowStreams(db).open(rows_of(_MANY))
        pieces = stream.pieces()
        await anext(pieces)
        await asyncio.to_thread(number, conninfo, _TERMINATE)
        with pytest.raises(StoreUnavailableError):
            async for _ in pieces:
                pass
        await stream.close()

    ask(conninfo, read)


def test_a_piece_that_cannot_be_made_frees_the_connection(conninfo: str) -> None:
    """Although rows were being read ahead of it."""

    def rows(reader: BlockingReader) -> RowPieces:
        return RowPieces(failing(reader.read_ahead(reader.copy(_MANY, block_bytes=1))))

    def failing(blocks: Iterator[CopiedRows]) -> Iterator[bytes]:
        yield next(blocks).text
        raise ArithmeticError

    async def read(db: Database) -> None:
        stream = await RowStreams(db).open(rows)
        with pytest.raises(ArithmeticError):
            async for _ in stream.pieces():
                pass
        await stream.close()
        await asyncio.to_thread(wait_until_none_runs, conninfo)

    ask(conninfo, read)


def test_rows_leave_nothing_to_the_garbage_collector(conninfo: str) -> None:
    """It looks at every object of the process, which took most of an export's time."""
    begun: list[int] = []

    def note(phase: str, info: dict[str, int]) -> None:
        if phase == "start" and info["generation"]:
            begun.append(info["generation"])

    with Database(conninfo).blocking_reader(60) as reader:
        gc.collect()
        gc.callbacks.append(note)
        try:
            rows = sum(block.count for block in reader.copy(_MANY_SHORT))
        finally:
            gc.callbacks.remove(note)
    assert (rows, begun) == (100_000, [])


def test_only_a_few_run_at_once(
    conninfo: str, rows_of: Statement, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One more waits for a place, and is told to try again where there is none."""
    monkeypatch.setattr(row_stream, "_SLOT_TIMEOUT_S", 0.2)

    async def run(db: Database) -> None:
        streams = RowStreams(db)
        opened = [await streams.open(rows_of(_MANY)) for _ in range(4)]
        with pytest.raises(UnavailableError, match="4 other exports"):
            await streams.open(rows_of(_MANY))
        await opened[0].close()
        again = await streams.open(rows_of(_MANY))
        for stream in [*opened, again]:
            await stream.close()

    ask(conninfo, run)
