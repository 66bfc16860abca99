"""Configures logs: JSON on stdout, one object a line; pretty where stdout is a terminal."""

from __future__ import annotations

import logging
import sys
from typing import TYPE_CHECKING, Final

import structlog
from structlog.tracebacks import ExceptionDictTransformer

if TYPE_CHECKING:
    from structlog.typing import Processor

_QUIET_S: Final = 10.0


class _OncePerPeriod(logging.Filter):
    """Passes one line of a kind in ten seconds: librdkafka writes ten a second in an outage."""

    def __init__(self) -> None:
        super().__init__()
        self._last_s: dict[str, float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether this line is the first of its kind in that time."""
        kind = record.getMessage().partition(" ")[0]
        if record.created - self._last_s.get(kind, 0) < _QUIET_S:
            return False
        self._last_s[kind] = record.created
        return True


def configure_logging(level: int = logging.INFO) -> None:
    """Write this process's logs of that level and above, and its libraries' warnings, to stdout.

    Values reach a terminal escaped, because JSON and ``repr`` escape control characters.
    """
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=shared,
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *_renderers()],
    )
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(formatter)
    logging.root.handlers = [handler]
    logging.root.setLevel(logging.WARNING)
    logging.getLogger("rollcall").setLevel(level)
    kafka = logging.getLogger("rollcall.kafka")
    kafka.setLevel(logging.WARNING)
    kafka.addFilter(_OncePerPeriod())
    # The parser warns of each malformed body and quotes it; the response says so already.
    logging.getLogger("python_multipart").setLevel(logging.CRITICAL)


def _renderers() -> list[Processor]:
    if sys.stdout.isatty():
        return [structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)]
    return [
        # Local variables hold users' data, which no log may.
        structlog.processors.ExceptionRenderer(ExceptionDictTransformer(show_locals=False)),
        structlog.processors.EventRenamer("message"),
        structlog.processors.JSONRenderer(),
    ]
