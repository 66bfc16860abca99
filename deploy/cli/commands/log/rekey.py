"""`./rollcall rekey`: moves the log to another key or number of partitions."""

import logging
import time
from pathlib import Path

import click

from deploy.cli.audited import audited
from deploy.cli.options import data_dir_option
from deploy.cli.stack_settings import settings_of
from deploy.log_migration.engine import FAILURES
from deploy.log_migration.rekey.rekey import Rekeyed, RekeyRequest, rekey
from schemas.config.logs import configure_logging
from schemas.config.settings import MAX_PARTITIONS


@click.command(
    "rekey",
    epilog="Exit status: 0 moved, or a move that was broken off was completed, which is said; 1"
    " refused, and nothing has changed, or started again where it was broken off.",
)
@click.option("--key", help="Which field is to tell users apart: email, mobileNumber, …")
@click.option(
    "--partitions",
    type=click.IntRange(1, MAX_PARTITIONS),
    help="How many partitions `user-events` is to have.",
)
@click.option(
    "--forget-erased",
    "forgets_erased",
    is_flag=True,
    help="Forget what people whose data has been erased had opted out of: with another key it"
    " can't be kept.",
)
@click.option("--yes", is_flag=True, help="Do not ask.")
@data_dir_option
def rekey_command(
    key: str | None,
    partitions: int | None,
    forgets_erased: bool,  # noqa: FBT001 - click's way
    yes: bool,  # noqa: FBT001 - click's way
    data_dir: Path,
) -> None:
    """Move the log to another reconciliation KEY, number of partitions, or both.

    The log is written anew to new topics, job by job; the tables made from it are proved to say
    the same as the live ones, and everybody goes on in it. For partitions alone no setting need
    be changed: what the log says counts before ROLLCALL_PARTITIONS. With another key, every
    service must get ROLLCALL_RECONCILIATION_KEY and be started again: until then it ends, and
    says so. A key that does not tell users apart in the whole log is refused: where a user has
    none, has had two, or shares one. Topics have new names, which other producers must
    be told, and the ids of all users are new ones: whoever has kept ids must look users up again,
    by key. Uploads and writes are answered with 503 while the end of the log is copied. Files in
    `uploads` are dropped: all their jobs have ended.

    Where ROLLCALL_KAFKA_BOOTSTRAP_SERVERS and ROLLCALL_DATABASE_URL are set, it is their log, else
    that of the stack that runs on the data folder.
    """
    configure_logging(logging.WARNING)
    if key is None and partitions is None:
        raise click.UsageError("Say --key, --partitions, or both.")
    if not yes:
        click.confirm("All users will have new ids. Go on?", abort=True)
    began_s = time.monotonic()
    try:
        settings = settings_of(data_dir)
        request = RekeyRequest(key, partitions, forgets_erased)
        with audited(settings.database_url, "log.rekey", key):
            done = rekey(settings, request, report=click.echo)
    except FAILURES as error:
        raise click.ClickException(str(error)) from error
    _print(done, time.monotonic() - began_s)
    if done.key != settings.reconciliation_key:
        click.echo(
            f"Set ROLLCALL_RECONCILIATION_KEY={done.key} for the API, the publisher, the processors"
            " and the builder, and start them again: until then they refuse to work."
        )


def _print(done: Rekeyed, took_s: float) -> None:
    click.echo(
        f"The log is now in its topics of version {done.version}, in {done.partitions} partitions,"
        f" and its key is {done.key}."
    )
    if done.users is None:
        click.echo("What this call asked for was not done: start it again if it is still wanted.")
        return
    click.echo(f"{done.users} users are the same, under new ids.")
    click.echo(f"The log was held for {done.held_s:.1f} s of {took_s:.1f} s.")
    click.echo("Producers of other teams must send to the new topics from now on.")
