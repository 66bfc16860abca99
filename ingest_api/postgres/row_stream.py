"""Rows of one snapshot as pieces of bytes, made in a thread no faster than they are taken.

Memory holds two pieces of a stream, however many rows there are and however slowly the
client takes them.
Where a stream is closed early, as when its client has gone, the statement that runs is
ended, and its connection closed.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final, TypeVar

from ingest_api.postgres.slots import Slots
from schemas.runtime.abandoned import mark_retrieved

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Generator, Iterator, Mapping

    from ingest_api.postgres.blocking_reader import BlockingReader
    from ingest_api.postgres.pool import Database

    Work = Callable[[BlockingReader], "RowPieces"]

MOST_STREAMS: Final = 4
_SLOT_TIMEOUT_S: Final = 20.0
_NO_SLOT: Final = f"{MOST_STREAMS} other exports are being read, try again"
_STATEMENT_TIMEOUT_S: Final = 6 * 3600.0
"""A slow client takes long, and the statement runs for as long as it takes."""
_CANCEL_AFTER_S: Final = 0.1
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class RowPieces:
    """The bytes to send, in pieces of some hundred thousand; how many rows they are, if known."""

    pieces: Iterator[bytes]
    total: int | None = None


class RowStreams:
    """Opens streams of rows for one API process, a few at a time."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._slots = Slots(MOST_STREAMS, timeout_s=_SLOT_TIMEOUT_S, refusal=_NO_SLOT)
        # A stream has one thread at work, and one more when it is closed.
        self._threads = ThreadPoolExecutor(2 * MOST_STREAMS, thread_name_prefix="rows")

    async def open(self, work: Work, schemas: Mapping[str, str] | None = None) -> RowStream:
        """Run ``work`` on a snapshot of its own up to its first piece; close what is returned.

        Raises:
            UnavailableError: too many rows are being read by others.
            SchemaGoneError: one of the schemas does not exist.
            StoreUnavailableError: Postgres doesn't answer.
        """
        slot = contextlib.AsyncExitStack()
        await slot.enter_async_context(self._slots.one())
        reading = partial(_read, self._database, work, schemas or {})
        stream = RowStream(_Source(reading), self._threads, slot)
        try:
            await stream.begin()
        except BaseException:
            await stream.close()
            raise
        return stream


def _read(
    database: Database,
    work: Work,
    schemas: Mapping[str, str],
    begun: Callable[[BlockingReader], None],
) -> Generator[RowPieces | bytes]:
    with database.blocking_reader(_STATEMENT_TIMEOUT_S, schemas) as reader:
        begun(reader)
        rows = work(reader)
        yield rows
        yield from rows.pieces


class _Source:
    """The reading thread's side: one call at a time, but for ``close``, which ends one early."""

    def __init__(
        self, reading: Callable[[Callable[[BlockingReader], None]], Generator[RowPieces | bytes]]
    ) -> None:
        self._items = reading(self._begin)
        self._reader: BlockingReader | None = None
        self._busy = threading.Lock()

    def _begin(self, reader: BlockingReader) -> None:
        self._reader = reader

    def next_item(self) -> RowPieces | bytes | None:
        """Return the next item, None at the end; first come the rows, then their pieces."""
        with self._busy:
            return next(self._items, None)

    def close(self) -> None:
        """Free the connection; a statement that runs is ended first."""
        # Again and again, because the reader may be between two statements.
        while not self._busy.acquire(timeout=_CANCEL_AFTER_S):
            if self._reader is not None:
                self._reader.cancel()
        try:
            self._items.close()
        finally:
            self._busy.release()


class RowStream:
    """A stream that has begun; ``total`` is how many rows it has, None where that isn't known."""

    def __init__(
        self, source: _Source, threads: ThreadPoolExecutor, slot: contextlib.AsyncExitStack
    ) -> None:
        self.total: int | None = None
        self._source = source
        self._threads = threads
        self._slot = slot
        self._first: bytes | None = None
        self._closing: asyncio.Task[None] | None = None

    async def begin(self) -> None:
        """Read up to the first piece, so that a fault is told before anything is sent."""
        rows = await self._next_item()
        assert isinstance(rows, RowPieces), "the rows come before their pieces"
        self.total = rows.total
        self._first = await self._next_piece()

    async def pieces(self) -> AsyncGenerator[bytes]:
        """Yield the pieces; the next one is made while one is sent."""
        piece = self._first
        while piece is not None:
            following = asyncio.create_task(self._next_piece())
            following.add_done_callback(mark_retrieved)
            yield piece
            piece = await following

    async def close(self) -> None:
        """Give up what has not been read; may be called again."""
        if self._closing is None:
            self._closing = asyncio.create_task(self._free())
        await asyncio.shield(self._closing)

    async def _free(self) -> None:
        async with self._slot:
            await self._in_thread(self._source.close)

    async def _next_piece(self) -> bytes | None:
        piece = await self._next_item()
        assert not isinstance(piece, RowPieces), "the rows come once"
        return piece

    async def _next_item(self) -> RowPieces | bytes | None:
        return await self._in_thread(self._source.next_item)

    def _in_thread(self, work: Callable[[], _T]) -> asyncio.Future[_T]:
        return asyncio.get_running_loop().run_in_executor(self._threads, work)
