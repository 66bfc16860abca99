"""`rollcall setup`: topics and schemas, made before the services start."""

import os
import time

import click

from deploy.cli.command_error import CommandError
from deploy.cli.commands.stack.services import ServiceCommand
from deploy.cli.settings_check import check_settings
from ingest_api.errors import LogMismatchError, TopicSetupError
from ingest_api.kafka.log_setup import at_current_version, ensure_log
from schemas.clients.backoff import Backoff, Pauses
from schemas.config.environment import read
from schemas.config.settings import Settings

_BACKOFF = Backoff(first_s=0.5, longest_s=5.0)


@click.command(cls=ServiceCommand)
@click.option(
    "--wait",
    "wait_s",
    type=click.IntRange(min=0),
    default=120,
    show_default=True,
    metavar="SECONDS",
    help="How long to wait for Kafka and the schema registry.",
)
@click.option(
    "--require-digests",
    "requires_digests",
    is_flag=True,
    help="From here on only rows of users count without a digest by ROLLCALL_LOG_KEYS; once all"
    " services have them.",
)
def setup(wait_s: int, *, requires_digests: bool) -> None:
    """Make the topics and register their schemas; what is there already stays as it is.

    The services do so, too, where they may; after this they need no right to create topics.
    """
    check_settings(os.environ, Settings)
    settings = read(Settings, os.environ)
    if requires_digests and settings.keyring is None:
        raise CommandError("ROLLCALL_LOG_KEYS is not set: make a key with `openssl rand -hex 32`.")
    end_s = time.monotonic() + wait_s
    settings = _ready(settings, end_s, requires_digests=requires_digests)
    names = ", ".join(sorted(topic.name for topic in settings.topics.all()))
    click.echo(f"The log is ready: {names}; its key is {settings.reconciliation_key}.")


def _ready(settings: Settings, end_s: float, *, requires_digests: bool) -> Settings:
    pauses = Pauses(_BACKOFF)
    while True:
        try:
            found = at_current_version(settings)
            ensure_log(found, requires_digests=requires_digests)
        except LogMismatchError as error:
            raise CommandError(str(error)) from error
        except TopicSetupError as error:
            if time.monotonic() > end_s:
                raise click.ClickException(str(error)) from error
            click.echo(f"Waiting: {error}", err=True)
            time.sleep(pauses.next_s())
        else:
            return found
