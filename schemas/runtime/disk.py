"""How full the disk of a folder is, in words."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Self

if TYPE_CHECKING:
    from pathlib import Path

_MIB: Final = 1 << 20
_FULL_BYTES: Final = 64 * _MIB
"""Kafka and Postgres need some room to stop in order, and to start again."""
_LOW_SHARE: Final = 10


@dataclass(frozen=True, slots=True)
class Disk:
    """The disk that holds a folder."""

    folder: Path
    free_bytes: int
    total_bytes: int

    @classmethod
    def of(cls, folder: Path) -> Self:
        """Look at the folder's disk.

        Raises:
            OSError: the folder is missing.
        """
        usage = shutil.disk_usage(folder)
        return cls(folder, usage.free, usage.total)

    @property
    def is_full(self) -> bool:
        """Whether next to nothing can be written."""
        return self.free_bytes < _FULL_BYTES

    @property
    def is_low(self) -> bool:
        """Whether less than a tenth is free, or it is full."""
        return self.is_full or self.free_bytes * _LOW_SHARE < self.total_bytes

    def fault(self) -> str | None:
        """Return what to worry about, as a sentence; None where there is room."""
        if not self.is_low:
            return None
        state = "full" if self.is_full else "nearly full"
        free, total = self.free_bytes // _MIB, self.total_bytes // _MIB
        return f"The disk of {self.folder} is {state}: {free:,} of {total:,} MB free."
