"""`./rollcall settings`: prints all settings with their effect."""

from pathlib import Path

import click

from deploy.cli.command_error import CommandError
from deploy.cli.output.tables import output, print_json, print_table
from deploy.cli.settings_table import rows, written_into

_COLUMNS = ("setting", "effect", "default", "values", "readBy")


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print all that is known of each, as JSON.")
@click.option(
    "--write",
    "document",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Put the table between its marks in this Markdown file.",
)
def settings(*, as_json: bool, document: Path | None) -> None:
    """Show what can be set in the environment: values, default, who reads it, effect.

    A secret may stand in a file instead: the same name with _FILE at its end names the file.
    """
    if document is not None:
        _write(document)
    elif as_json:
        print_json({"settings": list(rows())})
    else:
        listed = [
            {
                "setting": row["name"],
                "values": row["values"],
                "default": "required" if row["isRequired"] else row["default"] or None,
                "readBy": ", ".join(row["readBy"]),
                "effect": row["effect"],
            }
            for row in rows()
        ]
        print_table(output(), f"{len(listed)} settings", _COLUMNS, listed)


def _write(document: Path) -> None:
    try:
        document.write_text(written_into(document.read_text("utf-8")), "utf-8")
    except UnicodeDecodeError as error:
        raise CommandError(f"{document} is not UTF-8") from error
    except ValueError as error:
        raise CommandError(f"{document} is left as it was: {error}") from error
