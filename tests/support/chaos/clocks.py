"""Wall clocks of services that jump while they run, by hours, ahead or back.

A file named after the process' id, in the folder that ``TEST_FAILPOINTS`` names, holds by
how many seconds what the product takes for now is off.
Times of monotonic clocks, of Kafka's client and of the servers stay as they are.
"""

from __future__ import annotations

import contextlib
import os
import sys
import time
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from tests.support.chaos import failpoints

if TYPE_CHECKING:
    from collections.abc import Generator
    from datetime import tzinfo

_PRODUCT: Final = ("ingest_api.", "processor.", "schemas.")
_time: Final = time.time


def plant() -> None:
    """Let all of the product that was imported ask the clock of this process."""
    time.time = lambda: _time() + _offset_s()
    for name, module in list(sys.modules.items()):
        if name.startswith(_PRODUCT) and getattr(module, "datetime", None) is datetime:
            source = Path(str(module.__file__)).read_text()
            if "datetime.now(" in source:
                module.__dict__["datetime"] = _Clock


def _offset_s() -> float:
    try:
        return float(_file(Path(os.environ[failpoints.FOLDER]), os.getpid()).read_text())
    except FileNotFoundError:
        return 0.0


class _Like(type):
    """Of a class in whose place another stands: what is one of these is one of those."""

    def __instancecheck__(cls, instance: object) -> bool:
        return isinstance(instance, datetime)


class _Clock(datetime, metaclass=_Like):
    """As ``datetime``, but for the time that is now."""

    def __new__(cls, *arguments: Any, **named: Any) -> Any:
        """Make one that is nobody's clock."""
        return datetime(*arguments, **named)  # noqa: DTZ001 - as whoever calls it has it

    @classmethod
    def now(cls, tz: tzinfo | None = None) -> Any:
        """The time by the clock of this process."""
        return datetime.now(tz) + timedelta(seconds=_offset_s())


@contextlib.contextmanager
def off(folder: Path, pid: int, seconds: float) -> Generator[None]:
    """The process' clock is off by so much as long as the context is open."""
    file = _file(folder, pid)
    staged = file.with_suffix(".new")
    staged.write_text(str(seconds))
    staged.rename(file)
    try:
        yield
    finally:
        file.unlink(missing_ok=True)


def _file(folder: Path, pid: int) -> Path:
    return folder / f"clock-{pid}.offset"
