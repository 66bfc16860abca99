"""The option `--as-of`, and the wait until the tables of an as-of read are built."""

import click
from rich.console import Console

from deploy.api_client.client import ApiError
from deploy.api_client.retry import RetryPolicy
from deploy.cli.output.tables import print_line

_WAIT_S = 1800.0
_LONGEST_DELAY_S = 5.0

as_of_option = click.option(
    "--as-of",
    "asOf",
    metavar="TIME|JOB",
    help="The audience as it was: at a time, such as 2026-11-25T16:30 (UTC), or after a job.",
)


def build_wait(console: Console) -> RetryPolicy:
    """Return the retry policy of an as-of read, which prints the progress of the build."""

    def report(error: ApiError, _delay_s: float) -> None:
        print_line(console, str(error).removeprefix("503: ").removesuffix("; try again"))

    return RetryPolicy(for_s=_WAIT_S, longest_delay_s=_LONGEST_DELAY_S, report=report)
