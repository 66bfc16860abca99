"""A server that goes away and comes back, in the log."""

from __future__ import annotations

import logging
import threading

import pytest
from structlog.testing import capture_logs

from schemas.runtime import outage
from schemas.runtime.outage import Outage
from tests.support.waiting import wait_until

_LIBRARY = "rollcall.test.library"


class _Server:
    """Answers as it is told, and counts how often it was asked."""

    def __init__(self) -> None:
        self.is_up = True
        self.asked = 0

    def answers(self) -> bool:
        """What a client's probe comes to."""
        self.asked += 1
        return self.is_up


def _is_over() -> bool:
    return not any(thread.name == "outage" for thread in threading.enumerate())


@pytest.fixture
def found(monkeypatch: pytest.MonkeyPatch) -> Outage:
    """One that asks without a pause."""
    monkeypatch.setattr(outage, "_ASK_EVERY_S", 0.001)
    return Outage(_LIBRARY, away="It has gone", back="It is back")


def test_an_outage_is_told_once_and_its_end_once(found: Outage) -> None:
    """However many suspect it; meanwhile the library is silent but for errors."""
    server, library = _Server(), logging.getLogger(_LIBRARY)
    found.watch(server.answers)
    server.is_up = False
    with capture_logs() as logs:
        for _ in range(5):
            found.suspect()
        wait_until(lambda: server.asked > 3, 10, saying="it is asked again and again")
        passed = [
            bool(library.filter(logging.LogRecord(_LIBRARY, level, "", 1, "", None, None)))
            for level in (logging.WARNING, logging.ERROR)
        ]
        server.is_up = True
        wait_until(_is_over, 10, saying="the outage is over")
        found.suspect()
        wait_until(_is_over, 10, saying="it was asked")

    assert passed == [False, True]
    assert [line["event"] for line in logs] == ["It has gone", "It is back"]
    library.removeFilter(found)


def test_what_nobody_watches_is_not_told(found: Outage) -> None:
    """A command's own clients say themselves what went wrong."""
    with capture_logs() as logs:
        found.suspect()
    assert (logs, _is_over()) == ([], True)
