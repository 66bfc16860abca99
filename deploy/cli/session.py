"""Gives a command a client of the API with credentials, and turns API errors into messages."""

import contextlib
import os
import sys
from collections.abc import Generator, Mapping

import click

from deploy.api_client.client import Account, ApiClient, ApiError, RefusedError, Token
from deploy.cli.client_settings import ClientSettings
from deploy.cli.command_error import CommandError
from deploy.cli.local_api import local_api
from deploy.cli.own_words import in_own_words
from deploy.local_stack.running_apis import ADMIN
from schemas.config.environment import SettingsError, read

_NO_CREDENTIALS = (
    "no credentials: set ROLLCALL_USER and ROLLCALL_PASSWORD, or ROLLCALL_TOKEN to an API token"
)


@contextlib.contextmanager
def api(url: str) -> Generator[ApiClient]:
    """Yield a client with the credentials of the environment.

    Raises:
        CommandError: No credentials, or a call inside did not succeed.
    """
    account = credentials(os.environ, url)
    with reported_failures(url, account), ApiClient(url, account) as client:
        yield client


@contextlib.contextmanager
def reported_failures(url: str, account: Account | Token) -> Generator[None]:
    """Turn an API error into the command's error message, which names who was asked as whom.

    Raises:
        CommandError: A call inside did not succeed.
    """
    try:
        yield
    except ApiError as error:
        message = in_own_words(str(error))
        if isinstance(error, RefusedError):
            first, *rest = message.split("\n")
            name = f"as {account.user}" if isinstance(account, Account) else "with a token"
            message = "\n".join([f"{first} ({url}, {name})", *rest])
        raise CommandError(message) from error


def credentials(environ: Mapping[str, str], url: str) -> Account | Token:
    """Return ROLLCALL_TOKEN, else ROLLCALL_USER and ROLLCALL_PASSWORD, else ask for them.

    Where nobody is named, or the administrator, of a stack on this machine, its kept password is
    taken.

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
    if not password and user in {"", ADMIN} and (api := local_api(url)) is not None:
        user, password = ADMIN, api.admin_password() or ""
    if not (user and password) and not sys.stdin.isatty():
        raise CommandError(_NO_CREDENTIALS)
    user = user or click.prompt("User", default=ADMIN, err=True)
    password = password or click.prompt(f"Password of {user}", hide_input=True, err=True)
    return Account(user, password)


def new_password(name: str) -> str:
    """Return the password typed twice or, without a terminal, the first line of standard input.

    Raises:
        CommandError: There is none, or it is not UTF-8.
    """
    if sys.stdin.isatty():
        question = f"New password of {name}"
        return click.prompt(question, hide_input=True, confirmation_prompt=True, err=True)
    try:
        password = sys.stdin.readline().rstrip("\r\n")
        password.encode()  # where the locale is C, bytes that are no text are read, too
    except UnicodeError as error:
        raise CommandError("the password is not UTF-8") from error
    if not password:
        raise CommandError("no new password: standard input is empty")
    return password


def _token(text: str) -> Token:
    if not text.isascii() or not text.isprintable():
        raise CommandError("ROLLCALL_TOKEN is no token: it holds characters that none has")
    return Token(text)
