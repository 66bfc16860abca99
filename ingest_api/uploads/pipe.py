"""A pipe that hands a file's bytes from the event loop to the thread that reads them."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections import deque
from typing import Final

_MOST_BYTES: Final = 1024 * 1024
_PIECE_BYTES: Final = 256
"""What holding a piece costs beside its bytes: clients may send a byte at a time."""


class PipeAbandonedError(Exception):
    """The upload was given up, so the reader of the file may stop."""


class FilePipe:
    """A bounded queue of bytes: the event loop writes, one thread reads as from a file."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._changed = threading.Condition()
        self._pieces: deque[memoryview] = deque()
        self._held_bytes = 0
        self._is_closed = False
        self._is_abandoned = False
        self._is_unread = False
        self._has_room = asyncio.Event()
        self._has_room.set()

    async def write(self, data: bytes) -> None:
        """Queue the next bytes; wait while too many are unread, drop them if nobody reads."""
        await self._has_room.wait()
        with self._changed:
            if self._is_unread:
                return
            self._pieces.append(memoryview(data))
            self._held_bytes += len(data) + _PIECE_BYTES
            if self._held_bytes >= _MOST_BYTES:
                self._has_room.clear()
            self._changed.notify()

    def close(self) -> None:
        """Mark the end of the file."""
        with self._changed:
            self._is_closed = True
            self._changed.notify()

    def abandon(self) -> None:
        """Give the file up: its reader gets :class:`PipeAbandonedError`."""
        with self._changed:
            self._is_abandoned = True
            self._pieces.clear()
            self._changed.notify()

    def stop_reading(self) -> None:
        """Drop the unread bytes and all that follow; called in the reading thread."""
        with self._changed:
            self._is_unread = True
            self._pieces.clear()
            self._make_room()

    def read(self, size: int, /) -> bytes:
        """Return at most ``size`` bytes, and none only at the end; block until there are some.

        Raises:
            PipeAbandonedError: the upload was given up.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._pieces or self._is_closed or self._is_abandoned)
            if self._is_abandoned:
                raise PipeAbandonedError
            if not self._pieces:
                return b""
            return self._take(size)

    def _take(self, size: int) -> bytes:
        piece = self._pieces.popleft()
        was_full = self._held_bytes >= _MOST_BYTES
        if len(piece) > size:
            self._pieces.appendleft(piece[size:])
            piece = piece[:size]
        else:
            self._held_bytes -= _PIECE_BYTES
        self._held_bytes -= len(piece)
        if was_full and self._held_bytes < _MOST_BYTES:
            self._make_room()
        return bytes(piece)

    def _make_room(self) -> None:
        # The loop is closed, so no writer waits any more.
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._has_room.set)
