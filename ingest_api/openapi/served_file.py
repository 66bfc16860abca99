"""A file that anybody may be served, as it is and packed."""

from __future__ import annotations

import gzip
import hashlib
from dataclasses import dataclass
from functools import cached_property
from typing import Final

_SMALL_BYTES: Final = 1000
"""Below it gzip saves no packet."""


@dataclass(frozen=True)
class ServedFile:
    """A file as it is sent; made once."""

    content: bytes
    media_type: str

    @cached_property
    def etag(self) -> str:
        """The validator of the content."""
        return f'"{hashlib.sha256(self.content).hexdigest()[:16]}"'

    @cached_property
    def packed(self) -> bytes | None:
        """The content as gzip; None where that is no gain."""
        if self.media_type.startswith("image/") or len(self.content) < _SMALL_BYTES:
            return None
        return gzip.compress(self.content, 6, mtime=0)
