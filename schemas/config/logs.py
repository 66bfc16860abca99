"""Configures logs on stdout: one JSON object a line, or text, as on a terminal."""

from __future__ import annotations

import logging
import os
import sys
from typing import TYPE_CHECKING, Final

import structlog
from structlog.tracebacks import ExceptionDictTransformer

from schemas.config.environment import SettingsError, read
from schemas.config.log_settings import LogSettings
from schemas.runtime.tracing import TRACES

if TYPE_CHECKING:
    from structlog.typing import EventDict, Processor

_QUIET_S: Final = 10.0
_FIRST: Final = ("timestamp", "level", "message")


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


def configure_logging(level: int | None = None) -> None:
    """Write this process's logs, and its libraries' warnings, to stdout.

    Level and format are those of the settings, unless a level is given; of wrong settings, which
    whoever reads all of them reports, the defaults.
    Values reach a terminal escaped, because JSON and ``repr`` escape control characters.
    """
    settings = _settings()
    if level is None:
        level = logging.getLevelNamesMapping()[settings.log_level.upper()]
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        TRACES.add_trace_id,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _ids_as_text,
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=shared,
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            *_renderers(settings),
        ],
    )
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(formatter)
    logging.root.handlers = [handler]
    logging.root.setLevel(max(level, logging.WARNING))
    logging.getLogger("rollcall").setLevel(level)
    kafka = logging.getLogger("rollcall.kafka")
    kafka.setLevel(max(level, logging.WARNING))
    kafka.addFilter(_OncePerPeriod())
    # The parser warns of each malformed body and quotes it; the response says so already.
    logging.getLogger("python_multipart").setLevel(logging.CRITICAL)


def _settings() -> LogSettings:
    try:
        return read(LogSettings, os.environ)
    except SettingsError:
        return LogSettings()


def _renderers(settings: LogSettings) -> list[Processor]:
    is_terminal = sys.stdout.isatty()
    if settings.log_format == "text" or (settings.log_format == "auto" and is_terminal):
        return [
            structlog.dev.ConsoleRenderer(
                colors=is_terminal, exception_formatter=structlog.dev.plain_traceback
            )
        ]
    return [
        # Local variables hold users' data, which no log may.
        structlog.processors.ExceptionRenderer(ExceptionDictTransformer(show_locals=False)),
        structlog.processors.EventRenamer("message"),
        _eye_catchers_first,
        structlog.processors.JSONRenderer(),
    ]


def _ids_as_text(_logger: object, _method: str, event: EventDict) -> EventDict:
    """Make ids strings: as numbers, most readers of JSON round them."""
    for name, value in event.items():
        if name.endswith("_id") and type(value) is int:
            event[name] = str(value)
    return event


def _eye_catchers_first(_logger: object, _method: str, event: EventDict) -> EventDict:
    first = {name: event.pop(name) for name in _FIRST if name in event}
    return {**first, **event}
