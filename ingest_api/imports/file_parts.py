"""Parts of a file that come one by one, so that a broken connection costs one of them at most.

What names a part says where it lies in `uploads`, and its hash.
Nothing else is kept of it: every instance takes every part, and it goes with its chunks.
A name is of use to the account alone that sent the part.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import hashlib
import secrets
import struct
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Annotated, Final

from msgspec import Meta

from ingest_api.errors import (
    Detail,
    LogUnavailableError,
    UnavailableError,
    UploadLostError,
    invalid_file,
)
from ingest_api.event_log.user_events import NOTHING_KEPT
from ingest_api.kafka.upload_chunks import CHUNK_BYTES, ChunkSource, ChunkWriter, StoredFile
from ingest_api.web.idempotency_key import job_id_of
from ingest_api.web.json_body import JsonBody
from schemas.events import ChunkRange

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Generator, Sequence

    from ingest_api.errors import InvalidRequestError
    from ingest_api.uploads.receiver import UploadResources

MOST_PART_BYTES: Final = 8 << 20
PARTS: Final = "application/vnd.rollcall.parts+json"
"""The media type of an upload that names the parts of its file."""
_LAYOUT: Final = struct.Struct(">8sHQQHI32s")
_PIECE_BYTES: Final = 1 << 18
_TIMEOUT_S: Final = 10.0
_SEARCH_S: Final = 60.0
_MOST_CHUNKS: Final = MOST_PART_BYTES // CHUNK_BYTES + 1
_MOST_OFFSET: Final = 1 << 62
# Not those of all requests: they would wait for each other, and readiness for them.
_threads: Final = ThreadPoolExecutor(64, "parts")
_UNKNOWN: Final = "This is no part of a file that this account has sent."
_LOST: Final = "A part of the file is not there any more: send the file again."


class FileParts(JsonBody, frozen=True, kw_only=True):
    """A file by its parts."""

    parts: Annotated[
        list[str],
        Meta(
            min_length=1,
            max_length=600,
            description="What named each part, in their order, each once.",
        ),
    ]
    type: Annotated[
        str,
        Meta(
            max_length=200,
            pattern="^[ -~]*$",
            description="What the file is, as a form's part would say it.",
        ),
    ] = "text/csv"


async def keep_part(
    account: str, pieces: AsyncIterator[bytes], resources: UploadResources
) -> StoredFile:
    """Append a part to `uploads`, and return where it is.

    Raises:
        InvalidRequestError: it is empty.
        UnavailableError: Kafka doesn't take it.
    """
    attempt = secrets.token_hex(8)
    job_id = job_id_of(account, attempt)
    topic = resources.settings.topics.uploads
    writer = ChunkWriter(resources.appender, topic, job_id=job_id, attempt=attempt)
    digest, size_bytes = hashlib.sha256(), 0
    try:
        async for piece in pieces:
            digest.update(piece)
            size_bytes += len(piece)
            await writer.write(piece)
        if not size_bytes:
            raise invalid_file(Detail("EMPTY_FILE", "The part is empty.", line=1))
        chunks = await writer.finish()
    except LogUnavailableError:
        raise UnavailableError(NOTHING_KEPT) from None
    finally:
        writer.abandon()
    return StoredFile(
        job_id=job_id,
        attempt=attempt,
        chunks=chunks,
        size_bytes=size_bytes,
        sha256=digest.hexdigest(),
    )


def name_of(part: StoredFile) -> str:
    """Return what names the part."""
    chunks = part.chunks
    packed = _LAYOUT.pack(
        bytes.fromhex(part.attempt),
        *(chunks.partition, chunks.first_offset, chunks.last_offset, chunks.count),
        part.size_bytes,
        bytes.fromhex(part.sha256),
    )
    return base64.urlsafe_b64encode(packed).decode().rstrip("=")


def part_named(name: str, account: str) -> StoredFile:
    """Return the part; that it is the account's shows when its chunks are read.

    Raises:
        InvalidRequestError: nothing is named so.
    """
    try:
        packed = base64.b64decode(name + "=" * (-len(name) % 4), altchars=b"-_", validate=True)
        attempt, partition, first, last, count, size_bytes, digest = _LAYOUT.unpack(packed)
    except (binascii.Error, struct.error, ValueError):
        raise unknown_part() from None
    # Names are not signed: whoever makes one up shall not have us look through the topic.
    is_sized = 0 < size_bytes <= MOST_PART_BYTES and 0 < count <= _MOST_CHUNKS
    if not (is_sized and first <= last < _MOST_OFFSET):
        raise unknown_part()
    return StoredFile(
        job_id=job_id_of(account, attempt.hex()),
        attempt=attempt.hex(),
        chunks=ChunkRange(partition=partition, first_offset=first, last_offset=last, count=count),
        size_bytes=size_bytes,
        sha256=digest.hex(),
    )


def unknown_part() -> InvalidRequestError:
    """Return the error of what names no part, or one that was named before."""
    return invalid_file(Detail("PART_UNKNOWN", _UNKNOWN))


async def stored_pieces(
    parts: Sequence[StoredFile], resources: UploadResources
) -> AsyncGenerator[bytes]:
    """Yield the file that the parts make, in pieces.

    Raises:
        InvalidRequestError: a part is not there, or another account's.
        UnavailableError: Kafka doesn't answer.
    """
    pieces = _read(parts, resources)
    reading = _threads.submit(next, pieces, None)
    try:
        while (piece := await asyncio.wrap_future(reading)) is not None:
            yield piece
            reading = _threads.submit(next, pieces, None)
    except UploadLostError:
        raise invalid_file(Detail("PART_LOST", _LOST)) from None
    except LogUnavailableError:
        raise UnavailableError(NOTHING_KEPT) from None
    finally:
        # Whoever waits may give up while a thread reads: nothing is closed before that has ended.
        reading.add_done_callback(lambda _: _threads.submit(pieces.close))


def _read(parts: Sequence[StoredFile], resources: UploadResources) -> Generator[bytes]:
    settings = resources.settings
    source = ChunkSource(
        settings.kafka, settings.topics.uploads.name, timeout_s=_TIMEOUT_S, search_s=_SEARCH_S
    )
    try:
        for part in parts:
            reader = source.open(part)
            while piece := reader.read(_PIECE_BYTES):
                yield piece
    finally:
        source.close()
