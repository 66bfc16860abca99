"""The format of a file that is downloaded: what is asked for, else what its name says."""

from pathlib import Path

import click

from deploy.cli.output.downloads import STDOUT
from ingest_api.web.content_negotiation import CSV, NDJSON, PARQUET

MEDIA_TYPES = {"csv": CSV, "ndjson": NDJSON, "parquet": PARQUET}
"""Of each format."""

format_option = click.option(
    "--format",
    "format_name",
    type=click.Choice(list(MEDIA_TYPES)),
    help="What the file is; otherwise its name says it, and CSV is what it is without.",
)


def file_format(file: Path, asked: str | None) -> str:
    """Return the format that was asked for, else that of the file's name, else CSV."""
    if asked is not None:
        return asked
    suffix = {"jsonl": "ndjson"}.get(file.suffix[1:], file.suffix[1:])
    return suffix if file != STDOUT and suffix in MEDIA_TYPES else "csv"
