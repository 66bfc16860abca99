"""Writes the rejected lines of a job to a file that can be corrected and imported again."""

from pathlib import Path

import click

from deploy.api_client.client import ApiClient, path_of
from deploy.cli.output.downloads import STDOUT, whole_file


def write_error_file(client: ApiClient, job_id: str, path: Path) -> None:
    """Write it all to `path`, or to standard output for `-`.

    Raises:
        ApiError: There is no such job, or the API could not be reached.
        CommandError: The file cannot be written.
    """
    with whole_file(path) as file:
        client.download(path_of("batchinfo", "errors", job_id), "text/csv", file)
    if path != STDOUT:
        click.echo(f"The rejected lines are in {path}.", err=True)
