"""`./rollcall person`: all that is stored of one person."""

import click

from deploy.cli.api_command import ApiCommand, url_option
from deploy.cli.output.tables import print_json
from deploy.cli.session import api


@click.command(
    cls=ApiCommand,
    examples=(
        "rollcall person ada@example.com > ada.json",
        "rollcall person ada@example.com | jq '.history[].changes'",
    ),
)
@click.argument("key")
@url_option
def person(*, key: str, url: str) -> None:
    """Print all that is stored of the person with the reconciliation key KEY, as JSON.

    That is the user, its history, the rejected lines that hold the key, and the jobs of both.
    """
    with api(url) as client:
        print_json(client.get("/audience/person", {"key": key}))
