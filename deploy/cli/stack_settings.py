"""Finds Kafka and Postgres for commands that need no API: by the environment, or the stack."""

import os
from collections.abc import Mapping
from pathlib import Path

from deploy.cli.command_error import CommandError
from deploy.local_stack.data_dir import DataDir, NoStackError
from schemas.config.environment import SettingsError, read
from schemas.config.settings import Settings

_ADDRESSES = ("ROLLCALL_KAFKA_BOOTSTRAP_SERVERS", "ROLLCALL_DATABASE_URL")


def is_told(environ: Mapping[str, str]) -> bool:
    """Return whether the environment names Kafka or Postgres."""
    return any(environ.get(f"{name}{end}") for name in _ADDRESSES for end in ("", "_FILE"))


def settings_of(data_dir: Path) -> Settings:
    """Read the settings; where they name neither address, take the stack's on this folder.

    Raises:
        CommandError: no stack runs there, or a setting is wrong.
    """
    environ = dict(os.environ)
    try:
        if not is_told(environ):
            found = DataDir(data_dir).running_stack()
            environ |= dict(zip(_ADDRESSES, (found.bootstrap_servers, found.conninfo), strict=True))
        return read(Settings, environ)
    except (NoStackError, SettingsError) as error:
        raise CommandError(str(error)) from error
