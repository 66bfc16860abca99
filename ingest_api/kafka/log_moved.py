"""Restarts a process of this package when the log has been moved to topics of a new version.

Topics, consumers and everything read from them belong to one version of the
log, so nothing of them is carried over.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import structlog

from schemas.config.declared import name_of
from schemas.config.settings import Settings

if TYPE_CHECKING:
    from typing import NoReturn

    from ingest_api.errors import LogMovedError

_log = structlog.stdlib.get_logger("rollcall.api")


def start_again(moved: LogMovedError) -> NoReturn:
    """Replace this process by a new one, with the same arguments, on the log's new version."""
    _log.info("starting again", reason=str(moved))
    os.environ[name_of(Settings, "log_version")] = str(moved.version)
    if moved.partitions is not None:
        os.environ[name_of(Settings, "partitions")] = str(moved.partitions)
    os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])  # noqa: S606 - ourselves
