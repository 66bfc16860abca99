"""`./rollcall results`: what became of each line of a job, as a file."""

from pathlib import Path

import click

from deploy.api_client.client import path_of
from deploy.cli.api_command import ApiCommand, url_option
from deploy.cli.as_of import build_wait
from deploy.cli.output.downloads import STDOUT, Download, download_to
from deploy.cli.output.file_format import MEDIA_TYPES, file_format, format_option
from deploy.cli.output.tables import progress_console
from deploy.cli.session import api


@click.command(
    cls=ApiCommand,
    examples=(
        "rollcall results 5889218372019237411",
        "rollcall results 5889218372019237411 --output results.parquet",
        "rollcall results 5889218372019237411 --format ndjson | jq -r 'select(.id) | .id'",
    ),
)
@click.argument("job_id")
@click.option(
    "--output",
    type=click.Path(dir_okay=False, allow_dash=True, path_type=Path),
    default=STDOUT,
    help="The file to write; without it, or for -, stdout.",
)
@format_option
@url_option
def results(*, job_id: str, output: Path, format_name: str | None, url: str) -> None:
    """Write what became of each line of the job JOB_ID, in the order of its file.

    Line, outcome, the user's id and key; of a rejected line the column, code and reason.
    The job must have ended; one that is undone or cancelled has no results.
    """
    console = progress_console()
    format_name = file_format(output, format_name)
    wanted = Download(
        path=path_of("batchinfo", "results", job_id),
        query={"format": format_name},
        media_type=MEDIA_TYPES[format_name],
        noun="lines",
        has_lines=format_name != "parquet",
    )
    with api(url) as client:
        download_to(output, client, wanted, build_wait(console), console)
