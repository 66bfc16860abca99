"""Checks the services' settings before any is started."""

from collections.abc import Mapping

import click

from schemas.config.declared import Section
from schemas.config.environment import SettingsError, read
from schemas.runtime.process import EXIT_SETTINGS


class CannotRunError(click.ClickException):
    """Services can't run until a person has acted; starting them again is in vain."""

    exit_code = EXIT_SETTINGS


def check_settings(environment: Mapping[str, str], *sections: type[Section]) -> None:
    """Check that the environment sets these sections; told once, not by every process.

    Raises:
        CannotRunError: with a line for each mistake.
    """
    mistakes: dict[str, None] = {}
    for section in sections:
        try:
            read(section, environment)
        except SettingsError as error:
            mistakes |= dict.fromkeys(str(error).splitlines())
    if mistakes:
        raise CannotRunError("\n".join(mistakes))
