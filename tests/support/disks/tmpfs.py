"""Filesystems in memory, which can be full at will; root may mount them, where it is let."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
from typing import TYPE_CHECKING, Final

from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

_TIMEOUT_S: Final = 60


class CannotMountError(Exception):
    """Nothing can be mounted here; says why."""


@contextlib.contextmanager
def mounted(folder: Path, size_bytes: int) -> Generator[None]:
    """An empty filesystem of this size is at the folder; gone afterwards with all that it holds.

    Raises:
        CannotMountError: we may not.
    """
    _mount(f"size={size_bytes},mode=755", folder)
    try:
        yield
    finally:
        subprocess.run([_program("umount"), "--lazy", str(folder)], check=True)


@contextlib.contextmanager
def full(folder: Path) -> Generator[None]:
    """Nothing more can be written there: the filesystem is made as small as what it holds.

    Raises:
        TimeoutError: it holds more each time that it is made smaller.
    """

    def is_full() -> bool:
        with contextlib.suppress(CannotMountError):  # somebody has written in between
            _mount(f"remount,size={shutil.disk_usage(folder).used}", folder)
            return True
        return False

    size_bytes = shutil.disk_usage(folder).total
    wait_until(is_full, _TIMEOUT_S, saying=f"{folder} is full")
    try:
        yield
    finally:
        _mount(f"remount,size={size_bytes}", folder)


def _mount(options: str, folder: Path) -> None:
    command = [_program("mount"), "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
    try:
        subprocess.run(command, check=True, capture_output=True, text=True)
    except (OSError, subprocess.CalledProcessError) as error:
        why = getattr(error, "stderr", "") or str(error)
        raise CannotMountError(why.strip()) from error


def _program(name: str) -> str:
    return shutil.which(name) or name
