"""`./rollcall users export`: the audience, or what filters take of it, as a file."""

from pathlib import Path
from typing import Any

import click

from deploy.cli.api_command import ApiCommand, url_option
from deploy.cli.as_of import as_of_option, build_wait
from deploy.cli.commands.users.filters import attribute_filters, user_filters
from deploy.cli.output.downloads import Download, download_to
from deploy.cli.output.file_format import MEDIA_TYPES, file_format, format_option
from deploy.cli.output.tables import progress_console
from deploy.cli.session import api


@click.command(
    "export",
    cls=ApiCommand,
    examples=(
        "rollcall users export all.csv",
        "rollcall users export germany.csv --country Germany",
        "rollcall users export then.parquet --as-of 5889218372019237411",
        "rollcall users export - --columns email,plan --attribute plan=gold | wc -l",
        "rollcall users export all.ndjson --columns id,email,createdDate",
    ),
)
@click.argument("file", type=click.Path(dir_okay=False, allow_dash=True, path_type=Path))
@format_option
@click.option(
    "--columns",
    metavar="NAME,…",
    help="Only these columns, in this order; also id, key, createdDate, lastModifiedDate, jobId.",
)
@user_filters
@as_of_option
@url_option
def export_users(
    *,
    file: Path,
    format_name: str | None,
    attributes: dict[str, str],
    url: str,
    **query: Any,
) -> None:
    """Write the users to FILE, by id; - is stdout.

    The CSV has the columns that an import takes: it can be imported again, and changes nothing.
    All is of one moment; FILE has its name only once it is whole.
    """
    console = progress_console()
    format_name = file_format(file, format_name)
    wanted = Download(
        path="/audience/export",
        query={**query, **attribute_filters(attributes), "format": format_name},
        media_type=MEDIA_TYPES[format_name],
        noun="users",
        has_lines=format_name != "parquet",
    )
    with api(url) as client:
        download_to(file, client, wanted, build_wait(console), console)
