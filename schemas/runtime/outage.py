"""Tells once that a server has gone, and once that it is back, however many notice it.

A client that meets an error says :meth:`Outage.suspect`; a thread then asks the server itself
until it answers.  Meanwhile the lines in which the client's library says the same, several a
second, are left out.
"""

from __future__ import annotations

import logging
import threading
import time
from typing import TYPE_CHECKING, Final

import structlog

from schemas.runtime.essential import EssentialThread

if TYPE_CHECKING:
    from collections.abc import Callable

_ASK_EVERY_S: Final = 1.0
_log = structlog.stdlib.get_logger("rollcall.process")


class Outage(logging.Filter):
    """Whether one server is away; nothing is told, nor asked, before :meth:`watch`.

    ``library`` is the logger of the server's client.
    """

    def __init__(self, library: str, *, away: str, back: str) -> None:
        super().__init__()
        self._library = library
        self._told = {"away": away, "back": back}
        self._answers: Callable[[], bool] | None = None
        self._asking = threading.Lock()
        self._is_away = False

    def watch(self, answers: Callable[[], bool]) -> None:
        """Begin to tell; ``answers`` asks the server, for seconds at most, and raises nothing."""
        self._answers = answers
        logging.getLogger(self._library).addFilter(self)

    def suspect(self) -> None:
        """Have it found out whether the server answers; return at once."""
        if self._answers is not None and self._asking.acquire(blocking=False):
            thread = EssentialThread("outage", self._ask)
            thread.stopping.set()  # it ends by itself
            thread.start()

    def filter(self, record: logging.LogRecord) -> bool:
        """Leave out what the library says of it, but for what ends a client."""
        return not self._is_away or record.levelno >= logging.ERROR

    def _ask(self) -> None:
        try:
            begun_s = time.monotonic()
            while self._answers is not None and not self._answers():
                if not self._is_away:
                    self._is_away = True
                    _log.warning(self._told["away"])
                time.sleep(_ASK_EVERY_S)
            if self._is_away:
                self._is_away = False
                away_s = round(time.monotonic() - begun_s, 1)
                _log.warning(self._told["back"], away_s=away_s)
        finally:
            self._asking.release()


KAFKA: Final = Outage(
    "rollcall.kafka",
    away="Kafka doesn't answer: imports and writes wait",
    back="Kafka answers again: imports and writes go on",
)
POSTGRES: Final = Outage(
    "psycopg.pool",
    away="Postgres doesn't answer: reads are refused, jobs wait",
    back="Postgres answers again: reads and jobs go on",
)
