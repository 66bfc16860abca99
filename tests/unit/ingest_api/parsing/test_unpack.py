"""A packed file comes to the same for whoever reads it, however it is cut on its way."""

from __future__ import annotations

from itertools import chain
from typing import Final

import pytest

from ingest_api.parsing.errors import TextDamage
from ingest_api.parsing.unpack import Unpacker

_EMPTY_BLOCK: Final = bytes.fromhex("28b52ffd 20 00 050000")
"""A zstd frame whose only block is compressed, and empty: libzstd takes it in some pieces."""


@pytest.mark.parametrize("piece_bytes", [1, 2, 3, 5, 8, 100])
@pytest.mark.parametrize("after", [b"", b"X"])
def test_a_damaged_file_is_refused_however_it_is_cut(piece_bytes: int, after: bytes) -> None:
    """Else an upload could be taken of which the publisher, reading it again, makes nothing."""
    data, unpacker = _EMPTY_BLOCK + after, Unpacker("zstd", 1 << 20)
    fed = (unpacker.feed(data[at : at + piece_bytes]) for at in range(0, len(data), piece_bytes))
    with pytest.raises(TextDamage) as damage:
        list(chain.from_iterable(chain(fed, (unpacker.finish(),))))
    assert damage.value.code == "ZSTD_DAMAGED"
