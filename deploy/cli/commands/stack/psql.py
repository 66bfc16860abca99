"""`./rollcall psql`: opens psql on the stack's database."""

import os
from pathlib import Path

import click

from deploy.cli.options import data_dir_option
from deploy.local_stack.data_dir import DataDir, NoStackError
from deploy.local_stack.postgres import binary


@click.command(context_settings={"ignore_unknown_options": True})
@data_dir_option
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def psql(data_dir: Path, arguments: tuple[str, ...]) -> None:
    """Open the database of the running stack; ARGUMENTS go to psql.

    The view `users` is the active audience.
    """
    try:
        addresses = DataDir(data_dir).running_stack()
    except NoStackError as error:
        raise click.ClickException(str(error)) from error
    program = str(binary("psql"))
    # As an option and not the first argument, which psql would take for the name of a database
    # even where the user's own arguments name something else.
    os.execv(program, [program, f"--dbname={addresses.conninfo}", *arguments])  # noqa: S606 - the wheel's own program
