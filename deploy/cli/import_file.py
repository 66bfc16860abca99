"""`./rollcall import`."""

import sys
from pathlib import Path

import click
from rich.console import Console

from deploy.api_client import ApiClient, ApiError, Upload
from deploy.cli.account import account
from deploy.cli.job_progress import run_import
from deploy.cli.options import url_option
from deploy.cli.tables import output, print_counts

_COMPLETED_WITH_ERRORS = 1
_REFUSED = 2


@click.command("import")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--mode",
    type=click.Choice(["insert", "upsert", "delsert"]),
    default="insert",
    show_default=True,
    help="insert adds, upsert adds and changes, delsert replaces the whole audience.",
)
@click.option(
    "--delimiter",
    type=click.Choice(["COMMA", "SEMI_COLON", "PIPE", "HYPHEN"]),
    default="COMMA",
    show_default=True,
)
@url_option
def import_file(file: Path, mode: str, delimiter: str, url: str) -> None:
    """Upload FILE and follow the job until it has ended.

    User and password come from ROLLCALL_USER and ROLLCALL_PASSWORD, or are asked for.

    Exit status: 0 where every line went in, 1 where some were rejected, 2 where the file was
    refused or the API could not be reached.
    """
    with ApiClient(url, account()) as client:
        try:
            job_id, counts = run_import(client, Upload(file, mode, delimiter), Console(stderr=True))
        except ApiError as error:
            click.echo(f"Error: {error}", err=True)
            sys.exit(_REFUSED)
    print_counts(output(), job_id, counts)
    if counts.state != "COMPLETED":
        click.echo(f"See `rollcall errors {job_id}`.", err=True)
        sys.exit(_COMPLETED_WITH_ERRORS)
