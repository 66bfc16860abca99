"""A file that anybody may be served."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ServedFile:
    """A file as it is sent."""

    content: bytes
    media_type: str

    @property
    def etag(self) -> str:
        """The entity tag of the content."""
        return f'"{hashlib.sha256(self.content).hexdigest()[:16]}"'
