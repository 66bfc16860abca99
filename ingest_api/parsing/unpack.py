"""Unpacks gzip and zstd files, piece by piece, up to a limit."""

from __future__ import annotations

import sys
import zlib
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

from ingest_api.parsing.errors import TextDamage

if sys.version_info >= (3, 14):
    from compression.zstd import DecompressionParameter, ZstdDecompressor, ZstdError
else:
    from backports.zstd import DecompressionParameter, ZstdDecompressor, ZstdError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_PIECE_BYTES: Final = 1 << 20
_BLOCK_BYTES: Final = 1 << 16
"""Decoders get so much at a time, counted from the file's first byte: zstd's takes some damaged
files where they come in other pieces, and who reads a file again must find what the first did."""
_GZIP_WINDOW: Final = 31
"""The largest window, in gzip's framing (zlib manual, ``inflateInit2``)."""
_ZSTD_WINDOW_LOG: Final = 25
"""32 MB of memory; a frame may ask for more than a hundred, and only the flags below need so."""


class _Decoder(Protocol):
    """Unpacks one member of a file."""

    @property
    def eof(self) -> bool:
        """True where the member has ended."""
        ...

    @property
    def unused_data(self) -> bytes:
        """The data after its end."""
        ...

    def decompress(self, data: bytes, most: int, /) -> bytes:
        """Return what the data unpacks to, so many bytes at most; keep the rest of it."""
        ...

    @property
    def needs_input(self) -> bool:
        """True where nothing is kept."""
        ...


class _GzipDecoder:
    """zlib's decoder, with the data that it has not come to yet."""

    def __init__(self) -> None:
        self._inflater = zlib.decompressobj(_GZIP_WINDOW)
        self._is_full = False

    @property
    def eof(self) -> bool:
        """True where the member has ended."""
        return self._inflater.eof

    @property
    def unused_data(self) -> bytes:
        """The data after its end."""
        return self._inflater.unused_data

    def decompress(self, data: bytes, most: int, /) -> bytes:
        """Unpack; what is kept comes before the data."""
        piece = self._inflater.decompress(self._inflater.unconsumed_tail + data, most)
        self._is_full = len(piece) == most
        return piece

    @property
    def needs_input(self) -> bool:
        """True where nothing is kept."""
        return not self._is_full and not self._inflater.unconsumed_tail


def _zstd_decoder() -> _Decoder:
    return ZstdDecompressor(options={DecompressionParameter.window_log_max: _ZSTD_WINDOW_LOG})


class Packing(NamedTuple):
    """A way in which a file may be packed, and how it is told by name, type and first bytes."""

    suffix: str
    media_types: frozenset[str]
    codings: frozenset[str]
    magic: bytes
    decoder: Callable[[], _Decoder]
    advice: str


PACKINGS: Final = {
    "gzip": Packing(
        ".gz",
        frozenset({"application/gzip", "application/x-gzip"}),
        frozenset({"gzip", "x-gzip"}),
        b"\x1f\x8b",
        _GzipDecoder,
        "pack it again",
    ),
    "zstd": Packing(
        ".zst",
        frozenset({"application/zstd"}),
        frozenset({"zstd"}),
        b"\x28\xb5\x2f\xfd",
        _zstd_decoder,
        "pack it again, without --long and --ultra",
    ),
}
"""By the name that `JobAccepted` has for it."""


def packing_of(file_name: str, media_type: str, coding: str) -> str:
    """Return how a file is packed by what its sender says, ``none`` where nobody says it."""
    for name, packing in PACKINGS.items():
        if coding in packing.codings or media_type in packing.media_types:
            return name
        if file_name.lower().endswith(packing.suffix):
            return name
    return "none"


def refuse_packed(head: bytes, compression: str) -> None:
    """Refuse a file whose first bytes say that it is packed, besides what was said.

    Raises:
        TextDamage: it is.
    """
    for name, packing in PACKINGS.items():
        if head.startswith(packing.magic):
            message = f"This is a {name} file: upload it under a name ending in {packing.suffix}."
            if compression != "none":
                message = f"This is a {name} file that was packed again: unpack it once."
            raise TextDamage("NOT_CSV", message)


def unpacked(pieces: Iterator[bytes], name: str, max_bytes: int) -> Iterator[bytes]:
    """Yield the content of one or several members, ``max_bytes`` at most, in non-empty pieces.

    Raises:
        TextDamage: it is damaged, or larger; what comes before has been yielded.
    """
    unpacker = Unpacker(name, max_bytes)
    for piece in pieces:
        yield from unpacker.feed(piece)
    yield from unpacker.finish()


class Unpacker:
    """Unpacks one file: :meth:`feed` it in pieces cut anywhere, then :meth:`finish`.

    What it yields, and whether it refuses the file, is the same however that is cut.
    """

    def __init__(self, name: str, max_bytes: int) -> None:
        self._name = name
        self._max_bytes = max_bytes
        self._remaining = max_bytes
        self._decoder: _Decoder | None = None
        self._held = bytearray()

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Yield what the file unpacks to so far; all of it must be taken before more is fed.

        Raises:
            TextDamage: the file is damaged, or larger; what comes before has been yielded.
        """
        self._held += data
        while len(self._held) >= _BLOCK_BYTES:
            block = bytes(self._held[:_BLOCK_BYTES])
            del self._held[:_BLOCK_BYTES]
            yield from self._limited(block)

    def finish(self) -> Iterator[bytes]:
        """Yield the rest of what the file unpacks to.

        Raises:
            TextDamage: it is damaged, larger or cut off; what comes before has been yielded.
        """
        yield from self._limited(bytes(self._held))
        if self._decoder and not self._decoder.eof:
            message = f"The {self._name} file is cut off: upload it again, whole."
            raise TextDamage(f"{self._name.upper()}_CUT_OFF", message)

    def _limited(self, block: bytes) -> Iterator[bytes]:
        for piece in self._pieces(block):
            if piece[: self._remaining]:
                yield piece[: self._remaining]
            if len(piece) > self._remaining:
                message = f"The file unpacks to more than {self._max_bytes} bytes: split it."
                raise TextDamage("UNPACKED_TOO_LARGE", message)
            self._remaining -= len(piece)

    def _pieces(self, rest: bytes) -> Iterator[bytes]:
        while rest or self._has_more():
            if self._decoder is None or self._decoder.eof:
                # Some tools pad the end with zeros; more members may follow (RFC 1952, 2.2).
                rest = rest.lstrip(b"\0") if self._decoder else rest
                self._decoder = PACKINGS[self._name].decoder() if rest else self._decoder
                continue
            yield self._decoded(self._decoder, rest)
            rest = self._decoder.unused_data if self._decoder.eof else b""

    def _has_more(self) -> bool:
        decoder = self._decoder
        return decoder is not None and not decoder.eof and not decoder.needs_input

    def _decoded(self, decoder: _Decoder, data: bytes) -> bytes:
        try:
            return decoder.decompress(data, _PIECE_BYTES)
        except (zlib.error, ZstdError) as error:
            message = f"The file is said to be {self._name} and is not, or is damaged: "
            message += f"{PACKINGS[self._name].advice}."
            raise TextDamage(f"{self._name.upper()}_DAMAGED", message) from error
