"""`./rollcall status`, `errors` and `users`: what the API knows, as tables or JSON."""

import json
from collections.abc import Callable
from typing import Any

import click

from deploy.api_client import ApiClient, ApiError
from deploy.cli.account import account
from deploy.cli.options import json_option, url_option
from deploy.cli.tables import ERROR_COLUMNS, JOB_COLUMNS, USER_COLUMNS, output, print_table

_start_option = click.option(
    "--start", type=click.IntRange(min=0), default=0, show_default=True, help="First entry."
)
_page_size_option = click.option(
    "--page-size", type=click.IntRange(1, 1000), default=20, show_default=True, help="How many."
)


@click.command()
@click.argument("job_id", required=False)
@_start_option
@_page_size_option
@json_option
@url_option
def status(job_id: str | None, start: int, page_size: int, as_json: bool, url: str) -> None:  # noqa: FBT001 - a flag of the command line
    """Show the job JOB_ID, or the newest jobs."""
    if job_id is not None:
        answer = _ask(url, lambda client: client.job(job_id))
        rows = [answer]
    else:
        answer = _ask(url, lambda client: client.jobs(start=start, page_size=page_size))
        rows = answer["statuses"]
    if as_json:
        _print_json(answer)
    else:
        print_table(output(), "Jobs", JOB_COLUMNS, rows)


@click.command()
@click.argument("job_id")
@_start_option
@_page_size_option
@json_option
@url_option
def errors(job_id: str, start: int, page_size: int, as_json: bool, url: str) -> None:  # noqa: FBT001 - a flag of the command line
    """Show the rejected lines of the job JOB_ID."""
    answer = _ask(url, lambda client: client.errors(job_id, start=start, page_size=page_size))
    if as_json:
        _print_json(answer)
    else:
        print_table(output(), f"{answer['total']} rejected lines", ERROR_COLUMNS, answer["Errors"])


@click.command()
@_start_option
@_page_size_option
@json_option
@url_option
def users(start: int, page_size: int, as_json: bool, url: str) -> None:  # noqa: FBT001 - a flag of the command line
    """Show the users of the active audience."""
    answer = _ask(url, lambda client: client.users(start=start, page_size=page_size))
    if as_json:
        _print_json(answer)
    else:
        print_table(output(), f"{answer['total']} users", USER_COLUMNS, answer["audience"])


def _ask(url: str, question: Callable[[ApiClient], dict[str, Any]]) -> dict[str, Any]:
    with ApiClient(url, account()) as client:
        try:
            return question(client)
        except ApiError as error:
            raise click.ClickException(str(error)) from error


def _print_json(answer: dict[str, Any]) -> None:
    click.echo(json.dumps(answer, ensure_ascii=False, indent=2))
