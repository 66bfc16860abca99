"""Checks the services' settings before any is started."""

from collections.abc import Mapping

from deploy.cli.command_error import CommandError
from schemas.config.declared import Section
from schemas.config.environment import SettingsError, read


def check_settings(environment: Mapping[str, str], *sections: type[Section]) -> None:
    """Check that the environment sets these sections; told once, not by every process.

    Raises:
        CommandError: with a line for each mistake.
    """
    if mistakes := mistakes_of(environment, *sections):
        raise CommandError("\n".join(mistakes))


def mistakes_of(environment: Mapping[str, str], *sections: type[Section]) -> list[str]:
    """Return a line for each mistake in these sections, once."""
    mistakes: dict[str, None] = {}
    for section in sections:
        try:
            read(section, environment)
        except SettingsError as error:
            mistakes |= dict.fromkeys(str(error).splitlines())
    return list(mistakes)
