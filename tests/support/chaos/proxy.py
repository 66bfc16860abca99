"""A TCP proxy between services and a server, which cuts, holds and slows what goes through it."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Self

from deploy.local_stack.ports import HOST

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Generator
    from typing import Any

CUT, HELD, ONE_WAY, SLOW = FAULTS = ("cut", "held", "one-way", "slow")
"""No connection; connections on which nothing comes through; only questions; late and in pieces."""
_CHUNK_BYTES: Final = 1 << 16
_SLOW_S: Final = 0.15
_SLOW_BYTES: Final = 1 << 12


@dataclass(slots=True)
class Proxy:
    """Listens on ``port`` and connects to a port or a Unix socket; used from any thread."""

    port: int
    target: int | str
    loop: asyncio.AbstractEventLoop
    fault: str | None = None
    _writers: set[asyncio.StreamWriter] = field(default_factory=set["asyncio.StreamWriter"])
    _mended: asyncio.Event = field(default_factory=asyncio.Event)

    async def serve(self) -> None:
        """Listen until the loop ends."""
        await asyncio.start_server(self._connected, HOST, self.port)

    @contextlib.contextmanager
    def broken(self, fault: str) -> Generator[None]:
        """Break all connections so, those of now and new ones, as long as the context is open."""
        self._call(self._break, fault)
        try:
            yield
        finally:
            self._call(self._break, None)

    def _call(self, function: Callable[..., None], *arguments: object) -> None:
        self.loop.call_soon_threadsafe(function, *arguments)

    def _break(self, fault: str | None) -> None:
        self.fault = fault
        self._mended.clear()
        if fault is None:
            self._mended.set()
        elif fault == CUT:
            for writer in self._writers:
                writer.transport.abort()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.fault == CUT:
            writer.transport.abort()
            return
        try:
            answers, questions = await self._connect()
        except OSError:
            writer.transport.abort()
            return
        both = {writer, questions}
        self._writers |= both
        await asyncio.gather(
            self._pump(reader, questions, {HELD}), self._pump(answers, writer, {HELD, ONE_WAY})
        )
        self._writers -= both

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if isinstance(self.target, str):
            return await asyncio.open_unix_connection(self.target)
        return await asyncio.open_connection(HOST, self.target)

    async def _pump(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, held: set[str]
    ) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(self._size()):
                while self.fault in held:
                    await self._mended.wait()
                if self.fault == SLOW:
                    await asyncio.sleep(_SLOW_S)
                writer.write(data)
                await writer.drain()
        with contextlib.suppress(OSError):
            writer.close()

    def _size(self) -> int:
        return _SLOW_BYTES if self.fault == SLOW else _CHUNK_BYTES


class Proxies:
    """Proxies by name, all in one thread; a context manager."""

    def __init__(self) -> None:
        self.by_name: dict[str, Proxy] = {}
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def __enter__(self) -> Self:
        """Start the thread."""
        self._thread.start()
        return self

    def add(self, name: str, port: int, target: int | str) -> None:
        """Add a proxy; it listens on return."""
        proxy = Proxy(port, target, self._loop)
        self._wait(proxy.serve())
        self.by_name[name] = proxy

    def _wait(self, what: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(what, self._loop).result()

    def __exit__(self, *_: object) -> None:
        """End all connections."""
        self._wait(self._end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _end(self) -> None:
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
