"""`./rollcall erase`: removes a person from the log and all tables."""

import logging
import time
from pathlib import Path

import click

from deploy.cli.audited import audited
from deploy.cli.options import data_dir_option
from deploy.cli.output.plain import plain
from deploy.cli.output.tables import counted
from deploy.cli.stack_settings import settings_of
from deploy.log_migration.engine import FAILURES
from deploy.log_migration.erase.erase import Erased, erase
from schemas.config.logs import configure_logging


@click.command(
    "erase",
    epilog="Exit status: 0 erased, the key stands nowhere; 1 refused, and nothing has changed, or"
    " started again where it was broken off; 3 erased, but the key also stands in records of"
    " others, which are listed and left.",
)
@click.argument("key")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--keep-old", is_flag=True, help="Keep the old topics, which still have the data.")
@data_dir_option
def erase_command(key: str, yes: bool, keep_old: bool, data_dir: Path) -> None:  # noqa: FBT001 - click's way
    """Erase the user with this reconciliation KEY from the log and from every table.

    The log is copied to new topics without the user's data, the copy is proved, and everybody
    goes on in it; ids of users and counts of jobs stay, and topics have new names, which other
    producers must be told. Uploads and writes are answered with 503
    while the end of the log is copied. Files in `uploads` are dropped: all their jobs have ended.

    Where ROLLCALL_KAFKA_BOOTSTRAP_SERVERS and ROLLCALL_DATABASE_URL are set, it is their log, else
    that of the stack that runs on the data folder.
    """
    configure_logging(logging.WARNING)
    if not yes:
        question = f"All data of the user with the key {plain(key)} will be gone for ever. Go on?"
        click.confirm(question, abort=True)
    began_s = time.monotonic()
    try:
        settings = settings_of(data_dir)
        with audited(settings.database_url, "log.erase"):
            done = erase(settings, key, keeps_old=keep_old, report=click.echo)
    except FAILURES as error:
        raise click.ClickException(str(error)) from error
    _print(done, time.monotonic() - began_s)
    if keep_old:
        click.echo("The old topics were kept, and with them the data: erase again to remove them.")
    if done.left:
        raise SystemExit(3)


def _print(done: Erased, took_s: float) -> None:
    if done.erasure is not None:
        jobs = {row.job_id for row in done.erasure.lines}
        click.echo(
            f"Erased {counted(done.erasure.records, 'record')}:"
            f" {counted(len(done.erasure.lines), 'line')} of {counted(len(jobs), 'job')},"
            f" the rest single events and repeats; {counted(done.dead_letters, 'dead letter')}."
        )
        click.echo(f"The log was held for {done.held_s:.1f} s of {took_s:.1f} s.")
    click.echo(f"The log is now in its topics of version {done.version}.")
    click.echo("Producers of other teams must send to them from now on.")
    if not done.left:
        click.echo("The key stands in no record of the log and in no row of any table.")
    for place in done.left:
        click.echo(f"The key still stands in {place.name}: {place.hits}, of others.")
