"""Shows how far something long has come: a bar on a terminal, a line now and then elsewhere."""

import contextlib
import time
from collections.abc import Generator

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn
from rich.table import Column

from deploy.cli.output.plain import plain
from deploy.cli.output.tables import print_line, shortened

_LINE_EVERY_S = 10.0
_LONGEST_NAME = 32
_MOST_AS_SECONDS = 99


class ProgressReport:
    """Shows one thing's progress; made by :func:`reported`."""

    def __init__(self, bars: Progress, doing: str) -> None:
        """``doing`` need not be told by a line of its own; empty, each change of it is."""
        self._bars = bars
        self._task = bars.add_task(_shown(doing), total=None, told="")
        self._doing = doing
        self._next_line_s = time.monotonic() + _LINE_EVERY_S

    def show(self, done: int, total: int, told: str, *, doing: str | None = None) -> None:
        """Show this many of so many, none where it is not known yet, and what else is told."""
        doing = self._doing if doing is None else doing
        self._bars.update(
            self._task, description=_shown(doing), completed=done, total=total or None, told=told
        )
        console = self._bars.console
        if not console.is_terminal:
            now_s = time.monotonic()
            if doing != self._doing or now_s >= self._next_line_s:
                self._next_line_s = now_s + _LINE_EVERY_S
                print_line(console, f"{doing}: {told}")
        self._doing = doing


@contextlib.contextmanager
def reported(console: Console, doing: str) -> Generator[ProgressReport]:
    """Yield what shows the progress of ``doing``."""
    columns = (
        TextColumn("{task.description}", table_column=Column(no_wrap=True)),
        BarColumn(None, table_column=Column(ratio=1)),
        TaskProgressColumn(),
        TextColumn("{task.fields[told]}", markup=False, table_column=Column(no_wrap=True)),
    )
    # In a log file a bar is noise.
    is_off = not console.is_terminal
    with Progress(*columns, console=console, expand=True, disable=is_off) as bars:
        yield ProgressReport(bars, doing)


def share_text(done: int, total: int, noun: str, *, begun_s: float) -> str:
    """Return how many are done since ``begun_s``, how many a second, and the time that is left."""
    rate = done / max(time.monotonic() - begun_s, 0.001)
    return rated_text(done, total, noun, rate)


def rated_text(done: int, total: int, noun: str, rate: float | None) -> str:
    """Return how many of ``noun`` are done, how many a second, and the time that is left."""
    told = f"{done:,}/{total:,} {noun}"
    if not rate or not done:
        return told
    left = f", {duration_text((total - done) / rate)} left" if done < total else ""
    return f"{told}, {rate:,.0f}/s{left}"


def duration_text(seconds: float) -> str:
    """Return a time as people say it, as ``23 s``, ``4 min`` or ``1 h 12 min``."""
    whole = round(seconds)
    if whole <= _MOST_AS_SECONDS:
        return f"{whole} s"
    hours, minutes = divmod(round(whole / 60), 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min"


def _shown(doing: str) -> str:
    return escape(shortened(plain(doing), _LONGEST_NAME))
