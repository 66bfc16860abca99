"""Processes that do nothing but take processor time, beside which the tests must pass too."""

from __future__ import annotations

import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Generator

_COUNT: Final = 4
_SPIN: Final = """
import os
parent = os.getppid()
while os.getppid() == parent:
    sum(range(100_000))
"""


@contextmanager
def busy_loops() -> Generator[list[subprocess.Popen[bytes]]]:
    """Keep four of them running; each ends with this process, however it ends."""
    loops = [subprocess.Popen([sys.executable, "-c", _SPIN]) for _ in range(_COUNT)]
    try:
        yield loops
    finally:
        for loop in loops:
            loop.kill()
            loop.wait()
