"""Gives a command a client of the API with credentials, and turns API errors into messages."""

import contextlib
import os
import sys
from collections.abc import Generator, Mapping
from typing import IO, Any

import click

from deploy.api_client.client import Account, ApiClient, ApiError, Token
from deploy.cli.client_settings import ClientSettings
from deploy.cli.output.tables import plain
from deploy.cli.own_words import in_own_words
from schemas.config.environment import SettingsError, read

FAILED = 2
"""Exit status where the API refused or could not be reached; click's own for wrong usage."""

_NO_CREDENTIALS = (
    "no credentials: set ROLLCALL_USER and ROLLCALL_PASSWORD, or ROLLCALL_TOKEN to an API token"
)


class CommandError(click.ClickException):
    """Ends a command with one clear line."""

    exit_code = FAILED

    def show(self, file: IO[Any] | None = None) -> None:
        """Print it on standard error, with the server's control characters escaped."""
        lines = (plain(line) for line in self.message.splitlines())
        click.echo("Error: " + "\n".join(lines), file=file, err=file is None)


@contextlib.contextmanager
def api(url: str) -> Generator[ApiClient]:
    """Yield a client with the credentials of the environment.

    Raises:
        CommandError: No credentials, or a call inside did not succeed.
    """
    with reported_failures(), ApiClient(url, credentials(os.environ)) as client:
        yield client


@contextlib.contextmanager
def reported_failures() -> Generator[None]:
    """Turn an API error into the command's error message.

    Raises:
        CommandError: A call inside did not succeed.
    """
    try:
        yield
    except ApiError as error:
        raise CommandError(in_own_words(str(error))) from error


def credentials(environ: Mapping[str, str]) -> Account | Token:
    """Return ROLLCALL_TOKEN, else ROLLCALL_USER and ROLLCALL_PASSWORD, else ask for them.

    A secret is never an argument: every user of the machine can read those.

    Raises:
        CommandError: Nothing is said, and nobody can be asked; or a setting is wrong.
    """
    try:
        settings = read(ClientSettings, environ)
    except SettingsError as error:
        raise CommandError(str(error)) from error
    if token := settings.token.strip():
        return _token(token)
    user, password = settings.user, settings.password
    if not (user and password) and not sys.stdin.isatty():
        raise CommandError(_NO_CREDENTIALS)
    user = user or click.prompt("User", default="admin", err=True)
    password = password or click.prompt(f"Password of {user}", hide_input=True, err=True)
    return Account(user, password)


def new_password(name: str) -> str:
    """Return the password typed twice or, without a terminal, the first line of standard input.

    Raises:
        CommandError: There is none.
    """
    if sys.stdin.isatty():
        question = f"New password of {name}"
        return click.prompt(question, hide_input=True, confirmation_prompt=True, err=True)
    password = sys.stdin.readline().rstrip("\r\n")
    if not password:
        raise CommandError("no new password: standard input is empty")
    return password


def _token(text: str) -> Token:
    if not text.isascii() or not text.isprintable():
        raise CommandError("ROLLCALL_TOKEN is no token: it holds characters that none has")
    return Token(text)
