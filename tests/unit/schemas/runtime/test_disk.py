"""What is said of a disk."""

from __future__ import annotations

from pathlib import Path

import pytest

from schemas.runtime.disk import Disk

_MIB = 1 << 20


@pytest.mark.parametrize(
    ("free", "total", "fault"),
    [
        (0, 350, "The disk of /data is full: 0 of 350 MB free."),
        (63, 350_000, "The disk of /data is full: 63 of 350,000 MB free."),
        (99, 1000, "The disk of /data is nearly full: 99 of 1,000 MB free."),
        (100, 1000, None),
    ],
)
def test_a_full_disk_is_called_so(free: int, total: int, fault: str | None) -> None:
    """With what is free; with a tenth of it free there is nothing to say."""
    disk = Disk(Path("/data"), free * _MIB, total * _MIB)
    assert disk.fault() == fault
    assert disk.is_full == (fault is not None and "nearly" not in fault)
