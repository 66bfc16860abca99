"""`./rollcall inspect`: what a file is, and how to import it."""

import sys
from pathlib import Path
from typing import Any

import click

from deploy.api_client.upload import send_for_inspection
from deploy.cli.api_command import ApiCommand, call_options
from deploy.cli.commands.jobs.import_file import import_file, opened_file, upload_of
from deploy.cli.output.inspection import print_inspection
from deploy.cli.output.job_progress import send_upload
from deploy.cli.output.tables import output, print_json, progress_console
from deploy.cli.session import api

_NOT_ALL_LINES = 1
_OPTIONS_OF_IMPORTS = {
    "path",
    "mode",
    "delimiter",
    "charset",
    "blank_cells",
    "overwrite",
    "invalid_optional",
    "phone_region",
    "date_order",
    "columns",
    "unknown_columns",
    "sheet",
    "preset",
    "retry_for_s",
}


@click.command(
    "inspect",
    cls=ApiCommand,
    params=[each for each in import_file.params if each.name in _OPTIONS_OF_IMPORTS],
    examples=(
        "rollcall inspect mailchimp.csv",
        "rollcall inspect kunden.csv --map 'Kontakt=Email'",
        "rollcall inspect users.csv --mode upsert --json",
    ),
    exit_status={
        0: "Every line could be imported.",
        1: "Some lines would be rejected, or the file refused.",
    },
)
@call_options
def inspect_file(path: Path, *, url: str, as_json: bool, retry_for_s: float, **given: Any) -> None:
    """Show what the file FILE is (- for standard input), and how to import it; nothing is kept.

    Its delimiter and charset are found out, and what its columns, phone numbers and dates mean,
    unless options say so; its lines are checked as an import would. What depends on the users
    there are is told by `rollcall import FILE --dry-run`.
    """
    with opened_file(path) as (file, name), api(url) as client:
        upload = upload_of(file, name, given)
        answer = send_upload(
            upload,
            lambda advance: send_for_inspection(client, upload, advance=advance),
            progress_console(),
            retry_for_s=retry_for_s,
        )
    if as_json:
        print_json(answer)
    else:
        print_inspection(output(), str(path), answer, given)
    if answer["reject"] or answer["refusedFor"]:
        sys.exit(_NOT_ALL_LINES)
