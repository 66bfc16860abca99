"""How a process ends: on a signal, or because it refuses to start."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import threading
    from types import FrameType

EXIT_SETTINGS: Final = 2
"""A setting is missing or wrong, or its port is taken: likewise."""
EXIT_REFUSED: Final = 78
"""EX_CONFIG of sysexits.h: starting again helps only after a person has acted."""


def stop_on_signals(stopping: threading.Event) -> None:
    """Have SIGTERM and SIGINT set the event, and do nothing else."""

    def stop(_number: int, _frame: FrameType | None) -> None:
        stopping.set()

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
