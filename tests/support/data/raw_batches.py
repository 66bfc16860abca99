"""Record batches that Kafka's broker takes and its client can't read, made byte by byte.

Of one that can't be decompressed the frame of LZ4 has a checksum of its contents, which the broker
doesn't look at and librdkafka does (KIP-57; LZ4's frame format); here it is wrong.
"""

from __future__ import annotations

import socket
import struct
import time
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from schemas.config.settings import Settings

_FRAME: Final = bytes.fromhex("04224d18 6440a7")
_WRONG_CHECKSUM: Final = b"\1\2\3\4"
_UNPACKED: Final = 0
_LZ4: Final = 3
_NOT_LEADER: Final = 6
_POLYNOMIAL: Final = 0x82F63B78
_PAUSE_S: Final = 0.1


def append_unreadable(settings: Settings, topic: str, partition: int, *, records: int = 3) -> int:
    """Append such a batch of so many records; its first offset."""
    content = b"".join(_record(number) for number in range(records))
    block = struct.pack("<I", len(content) | 1 << 31) + content
    return _append(
        settings,
        (topic, partition),
        _batch(_LZ4, _FRAME + block + struct.pack("<I", 0) + _WRONG_CHECKSUM, records),
    )


def append_with_header(
    settings: Settings, place: tuple[str, int], value: bytes, name: bytes
) -> int:
    """Append one record with a header of this name, which need be no text; its offset."""
    header = _varint(len(name)) + name + _varint(1) + b"x"
    body = bytes(3) + _varint(1) + b"k" + _varint(len(value)) + value + _varint(1) + header
    return _append(settings, place, _batch(_UNPACKED, _varint(len(body)) + body, 1))


def _append(settings: Settings, place: tuple[str, int], batch: bytes) -> int:
    while True:
        error, offset = _produce(settings, *place, batch)
        if error != _NOT_LEADER:  # of a topic that was just made
            assert error == 0
            return offset
        time.sleep(_PAUSE_S)


def _record(number: int) -> bytes:
    """A record without key, value and headers; varints of so small numbers are one byte."""
    body = bytes([0, 0, 2 * number, 1, 1, 0])
    return bytes([2 * len(body)]) + body


def _varint(number: int) -> bytes:
    """A length, as records have it: doubled, seven bits a byte."""
    rest, made = number * 2, bytearray()
    while rest > 127:
        made.append(rest & 127 | 128)
        rest >>= 7
    return bytes([*made, rest])


def _batch(codec: int, payload: bytes, records: int) -> bytes:
    rest = struct.pack(">hiqqqhii", codec, records - 1, 1, 1, -1, -1, -1, records) + payload
    return struct.pack(">qiibI", 0, 9 + len(rest), -1, 2, _crc32c(rest)) + rest


def _crc32c(data: bytes) -> int:
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (_POLYNOMIAL if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def _produce(settings: Settings, topic: str, partition: int, batch: bytes) -> tuple[int, int]:
    """Send one request Produce, version 3; its error code and the batch's first offset."""
    host, _, port = settings.bootstrap_servers.partition(",")[0].rpartition(":")
    name = struct.pack(">h", len(topic)) + topic.encode()
    head = struct.pack(">hhih", 0, 3, 1, -1)
    body = struct.pack(">hhii", -1, -1, 10_000, 1) + name
    body += struct.pack(">iii", 1, partition, len(batch)) + batch
    with (
        socket.create_connection((host, int(port))) as connection,
        connection.makefile("rb") as file,
    ):
        connection.sendall(struct.pack(">i", len(head + body)) + head + body)
        (size,) = struct.unpack(">i", file.read(4))
        answer = file.read(size)
    error, offset = struct.unpack_from(">hq", answer, 8 + len(name) + 8)
    return error, offset
