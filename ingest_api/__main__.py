"""`python -m ingest_api`: the API process."""

from __future__ import annotations

import asyncio
import os
import sys

import structlog

from ingest_api.app.allocators import bound_allocators
from ingest_api.app.server import serve
from ingest_api.app.settings import ApiSettings
from ingest_api.errors import LogMismatchError, LogMovedError
from ingest_api.kafka.log_moved import start_again
from schemas.config.environment import SettingsError, read
from schemas.config.logs import configure_logging
from schemas.config.unknown import warn_of_unknown_settings
from schemas.runtime.essential import EXIT_FAILED, end_process_on_failure
from schemas.runtime.process import EXIT_REFUSED, EXIT_SETTINGS
from schemas.runtime.tracing import TRACES

_log = structlog.stdlib.get_logger("rollcall.api")


def main() -> None:
    """Serve until told to stop, then end the process.

    Exit code 2 and a line for each mistake in the settings; 78 where settings and log don't fit.
    """
    try:
        status = _serve()
    except Exception as error:  # noqa: BLE001 - reported as Python would, then the process ends
        sys.excepthook(type(error), error, error.__traceback__)
        status = EXIT_FAILED
    # Finalizing the interpreter while threads of the HTTP server still end would abort the process
    # by a panic of theirs, now and then (granian 2.8, its issues 693 and 846).
    TRACES.stop()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


def _serve() -> int:
    bound_allocators()
    configure_logging()
    warn_of_unknown_settings(os.environ)
    TRACES.start("api", os.environ)
    try:
        settings = read(ApiSettings, os.environ)
        end_process_on_failure()
        asyncio.run(serve(settings))
    except SettingsError as error:
        sys.stderr.write(f"{error}\n")
        return EXIT_SETTINGS
    except LogMovedError as moved:
        start_again(moved)
    except LogMismatchError as error:
        _log.critical("refused to start", reason=str(error))
        return EXIT_REFUSED
    return os.EX_OK


if __name__ == "__main__":
    main()
