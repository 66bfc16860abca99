"""The bytes of a file on their way from the event loop to a thread."""

from __future__ import annotations

import asyncio
import random
from concurrent.futures import ThreadPoolExecutor

import pytest

from ingest_api.uploads.pipe import FilePipe, PipeAbandonedError

MIB = 1024 * 1024


def read_all(pipe: FilePipe, size: int) -> bytes:
    """What a thread gets until the end."""
    return b"".join(iter(lambda: pipe.read(size), b""))


def test_what_is_written_comes_out_in_order_whatever_the_sizes() -> None:
    """A file far larger than the pipe holds passes through it whole."""
    content = random.Random(1).randbytes(8 * MIB)

    async def send(pipe: FilePipe) -> None:
        for at in range(0, len(content), 300_000):
            await pipe.write(content[at : at + 300_000])
        pipe.close()

    async def run() -> bytes:
        pipe = FilePipe()
        loop = asyncio.get_running_loop()
        with ThreadPoolExecutor(1) as threads:
            received = loop.run_in_executor(threads, read_all, pipe, 70_001)
            await send(pipe)
            return await received

    assert asyncio.run(run()) == content


def test_a_writer_waits_while_nobody_reads() -> None:
    """So memory stays flat: the client is held up, whatever the size of its pieces."""

    async def fill(piece: bytes, most_pieces: int) -> None:
        pipe = FilePipe()
        for _ in range(most_pieces):
            await pipe.write(piece)

    async def run(piece: bytes, most_pieces: int) -> None:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(fill(piece, most_pieces), 0.2)

    asyncio.run(run(b"x" * 100_000, 25))
    asyncio.run(run(b"x", 20_000))


def test_a_writer_goes_on_when_the_reader_has_stopped() -> None:
    """A survey that found a fault reads no further, while the form may still say something."""

    async def run() -> None:
        pipe = FilePipe()
        async with asyncio.timeout(5):
            await pipe.write(b"x" * 3 * MIB)
            blocked = asyncio.create_task(pipe.write(b"y"))
            await asyncio.to_thread(pipe.stop_reading)
            await blocked
            for _ in range(10):
                await pipe.write(b"x" * MIB)

    asyncio.run(run())


def test_a_reader_stops_when_the_file_is_abandoned() -> None:
    """No thread waits for a client that has gone."""

    async def run() -> None:
        pipe = FilePipe()
        await pipe.write(b"x")
        reader = asyncio.create_task(asyncio.to_thread(read_all, pipe, 10))
        pipe.abandon()
        with pytest.raises(PipeAbandonedError):
            await reader

    asyncio.run(run())
