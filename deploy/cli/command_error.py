"""The error that ends a command; apart from the API's client, which not every command needs."""

from typing import IO, Any

import click

from deploy.cli.output.plain import plain

FAILED = 2
"""Exit status where something is to be done before the command can go on, wrong usage included;
that of services whose settings are wrong, too, which starting them again can't mend."""


class CommandError(click.ClickException):
    """Ends a command with one clear sentence."""

    exit_code = FAILED

    def show(self, file: IO[Any] | None = None) -> None:
        """Print it on standard error, with the server's control characters escaped."""
        lines = (plain(line) for line in self.message.splitlines())
        click.echo("Error: " + "\n".join(lines), file=file, err=file is None)
