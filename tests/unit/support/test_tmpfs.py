"""A filesystem is full at will, and has room again."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING, Final

import pytest

from tests.support.disks import tmpfs

if TYPE_CHECKING:
    from pathlib import Path

_SIZE_BYTES: Final = 1 << 20


def test_nothing_more_can_be_written_while_it_is_full(tmp_path: Path) -> None:
    """What was written stays, and what is written once there is room, too."""
    file = tmp_path / "file"
    try:
        with tmpfs.mounted(tmp_path, _SIZE_BYTES):
            file.write_bytes(b"before")
            with tmpfs.full(tmp_path), pytest.raises(OSError, match="space") as failed:
                (tmp_path / "other").write_bytes(b"no room")
            assert failed.value.errno == errno.ENOSPC
            (tmp_path / "third").write_bytes(b"room")
            assert file.read_bytes() == b"before"
    except tmpfs.CannotMountError as error:
        pytest.skip(f"nothing can be mounted here ({error})")
    assert not file.exists()
