"""Offers to open the page in a browser: Enter does, at a terminal that has one."""

from __future__ import annotations

import os
import select
import sys
import webbrowser
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TextIO

OFFER: Final = "Enter opens the page in a browser; Ctrl-C stops it."
NO_OFFER: Final = "Ctrl-C stops it."
_DESKTOPS: Final = ("DISPLAY", "WAYLAND_DISPLAY")


def is_offered() -> bool:
    """Return whether somebody sits at the terminal, and a browser would have a desktop."""
    has_desktop = sys.platform == "darwin" or any(map(os.environ.get, _DESKTOPS))
    return has_desktop and sys.stdin.isatty() and sys.stdout.isatty()


def is_in_front(terminal: TextIO) -> bool:
    """Return whether the terminal is ours to read: a job in the background would be stopped."""
    try:
        return os.tcgetpgrp(terminal.fileno()) == os.getpgrp()
    except OSError:
        return False


class PageOffer:
    """Opens the page each time that a line comes from the terminal; :meth:`check` never waits."""

    def __init__(
        self,
        url: str,
        terminal: TextIO | None,
        is_ours: Callable[[TextIO], bool] = is_in_front,
        open_page: Callable[[str], object] = webbrowser.open,
    ) -> None:
        self._url = url
        self._terminal = terminal
        self._is_ours = is_ours
        self._open_page = open_page

    def check(self) -> None:
        """Look for a line, and open the page where there is one."""
        terminal = self._terminal
        if terminal is None or not self._is_ours(terminal):
            return
        if not select.select([terminal], [], [], 0)[0]:
            return
        if terminal.readline():
            self._open_page(self._url)
        else:
            self._terminal = None  # it is closed
