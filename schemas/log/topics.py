"""The topics and their settings, and the partition of a key.

Keys are partitioned by murmur2, as Java's producer does (Kafka,
``org.apache.kafka.common.utils.Utils.murmur2``), so producers in any language
place the same key in the same partition.
librdkafka's own default is CRC-32, so the partition is always set explicitly.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, Final

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt
    import pyarrow as pa

MAX_DEAD_LETTER_BYTES: Final = 32 << 20
_DAY_MS: Final = 24 * 60 * 60 * 1000
_SEED: Final = 0x9747B28C
_M: Final = 0x5BD1E995
_MASK: Final = 0xFFFFFFFF
_WORD_BYTES: Final = 4


@dataclass(frozen=True, slots=True)
class Topic:
    """A topic, and the settings with which Rollcall makes it where it is missing."""

    name: str
    partitions: int
    config: dict[str, str]


@dataclass(frozen=True, slots=True)
class Topics:
    """The five topics of one log, named with one prefix."""

    uploads: Topic
    job_events: Topic
    user_events: Topic
    job_status: Topic
    dead_letters: Topic

    def all(self) -> tuple[Topic, ...]:
        """Return every topic, in no particular order."""
        return (
            self.uploads,
            self.job_events,
            self.user_events,
            self.job_status,
            self.dead_letters,
        )

    def by_part(self) -> dict[str, Topic]:
        """Return every topic by the name of its field here."""
        return {part.name: getattr(self, part.name) for part in fields(self)}


def topics(*, prefix: str = "", partitions: int = 6, uploads_retention_days: int = 7) -> Topics:
    """Return the topics of a log with this prefix and number of partitions of ``user-events``."""
    forever = {"cleanup.policy": "delete", "retention.ms": "-1", "retention.bytes": "-1"}
    # A dead letter is the record as it came and its reason besides, so it is larger.
    large = {"max.message.bytes": str(MAX_DEAD_LETTER_BYTES)}
    days = {"cleanup.policy": "delete", "retention.ms": str(uploads_retention_days * _DAY_MS)}
    return Topics(
        uploads=Topic(f"{prefix}uploads", 3, days),
        job_events=Topic(f"{prefix}job-events", 1, forever),
        user_events=Topic(f"{prefix}user-events", partitions, forever),
        job_status=Topic(f"{prefix}job-status", 3, {"cleanup.policy": "compact"}),
        dead_letters=Topic(f"{prefix}user-events-dead", 3, forever | large),
    )


def murmur2(data: bytes) -> int:
    """Return Java's murmur2 of the bytes, as an unsigned 32-bit number."""
    h = (_SEED ^ len(data)) & _MASK
    whole = len(data) - len(data) % _WORD_BYTES
    for at in range(0, whole, _WORD_BYTES):
        k = int.from_bytes(data[at : at + _WORD_BYTES], "little") * _M & _MASK
        k = (k ^ (k >> 24)) * _M & _MASK
        h = (h * _M & _MASK) ^ k
    if tail := data[whole:]:
        h = (h ^ int.from_bytes(tail, "little")) * _M & _MASK
    h = (h ^ (h >> 13)) * _M & _MASK
    return h ^ (h >> 15)


def partition_of(key: bytes, partitions: int) -> int:
    """Return the partition of a key, as Java's default partitioner does."""
    return partition_of_number(murmur2(key), partitions)


def partition_of_number(number: int, partitions: int) -> int:
    """Return the partition of a key of which only the murmur2 is known."""
    return (number & 0x7FFFFFFF) % partitions


def partitions_of(keys: pa.StringArray, partitions: int) -> npt.NDArray[np.int32]:
    """Return :func:`partition_of` each key of an array without nulls."""
    hashes = _murmur2_of_all(keys)
    return ((hashes & np.uint32(0x7FFFFFFF)) % np.uint32(partitions)).astype(np.int32)


def _murmur2_of_all(keys: pa.StringArray) -> npt.NDArray[np.uint32]:
    """Compute murmur2 of all keys at once, word by word: numpy has no hash of strings."""
    offsets, data = _offsets_and_data(keys)
    starts, lengths = offsets[:-1], np.diff(offsets)
    m = np.uint32(_M)
    h = np.uint32(_SEED) ^ lengths.astype(np.uint32)
    words = lengths // _WORD_BYTES
    for i in range(int(words.max(initial=0))):
        rows = np.flatnonzero(words > i)
        at = starts[rows] + i * _WORD_BYTES
        k = np.zeros(len(rows), np.uint32)
        for byte in range(_WORD_BYTES):
            k |= data[at + byte].astype(np.uint32) << np.uint32(8 * byte)
        k *= m
        k = (k ^ (k >> np.uint32(24))) * m
        h[rows] = (h[rows] * m) ^ k
    _mix_tails(h, data, starts + words * _WORD_BYTES, lengths - words * _WORD_BYTES)
    h = (h ^ (h >> np.uint32(13))) * m
    return h ^ (h >> np.uint32(15))


def _mix_tails(
    h: npt.NDArray[np.uint32],
    data: npt.NDArray[np.uint8],
    starts: npt.NDArray[np.int64],
    lengths: npt.NDArray[np.int64],
) -> None:
    rows = np.flatnonzero(lengths > 0)
    tail = np.zeros(len(rows), np.uint32)
    for byte in range(_WORD_BYTES - 1):
        longer = lengths[rows] > byte
        tail[longer] |= data[starts[rows][longer] + byte].astype(np.uint32) << np.uint32(8 * byte)
    h[rows] = (h[rows] ^ tail) * np.uint32(_M)


def _offsets_and_data(
    keys: pa.StringArray,
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.uint8]]:
    buffers: list[Any] = keys.buffers()
    offsets = np.frombuffer(buffers[1], np.int32)[keys.offset : keys.offset + len(keys) + 1]
    data = np.frombuffer(buffers[2] or b"", np.uint8)
    return offsets.astype(np.int64), data
