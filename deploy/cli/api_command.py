"""Help and options that the commands which call the API have in common."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar
from urllib.parse import urlsplit

import click
import httpx2

from deploy.cli.client_settings import ClientSettings
from deploy.cli.local_api import default_url
from deploy.cli.output.tables import DEFAULT_PAGE_SIZE
from schemas.config.declared import described, name_of

_Command = TypeVar("_Command", bound=Callable[..., Any])

_EXIT_STATUS = {0: "Done.", 2: "Refused, or the API could not be reached, or wrong usage."}


class ApiCommand(click.Command):
    """A command that calls the API; its help ends with examples, environment and exit status."""

    def __init__(
        self,
        *arguments: Any,
        examples: Sequence[str] = (),
        exit_status: Mapping[int, str] | None = None,
        **options: Any,
    ) -> None:
        super().__init__(*arguments, **options)
        self._examples = examples
        self._exit_status = _EXIT_STATUS | dict(exit_status or {})

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 - click's signature
        """Write the further sections."""
        with formatter.section("Examples"):
            for example in self._examples:
                formatter.write(f"  {example}\n")
        with formatter.section("Environment"):
            formatter.write_dl(described(ClientSettings))
        with formatter.section("Exit status"):
            statuses = sorted(self._exit_status.items())
            formatter.write_dl([(str(code), meaning) for code, meaning in statuses])


class ListingGroup(click.Group):
    """A group whose command `list` is run where none is named."""

    command_class = ApiCommand

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Insert `list` where the arguments begin with an option, or there are none."""
        if not args or (args[0].startswith("-") and args[0] not in ctx.help_option_names):
            args = ["list", *args]
        return super().parse_args(ctx, args)

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Writes those of `list`, too, which need not be named."""
        listing = self.get_command(ctx, "list")
        if listing is not None:
            records = (each.get_help_record(ctx) for each in listing.params)
            with formatter.section("Options of the list"):
                formatter.write_dl([record for record in records if record is not None])
        super().format_options(ctx, formatter)


def _checked_url(_context: click.Context, _parameter: click.Parameter, url: str) -> str:
    url = url.strip()
    try:
        parts = urlsplit(url)
        is_address = parts.scheme in {"http", "https"} and bool(parts.hostname)
        _ = parts.port
        # As it is looked up: each part of a name has 1 to 63 characters.
        httpx2.URL(url).raw_host.decode().encode("idna")
    except (httpx2.InvalidURL, ValueError):
        is_address = False
    if not is_address:
        raise click.BadParameter(f"{url!r} is no address such as https://rollcall.example.com.")
    if urlsplit(url).password is not None:
        raise click.BadParameter("A password in it could be read by others: use ROLLCALL_PASSWORD.")
    return url


url_option = click.option(
    "--url",
    envvar=name_of(ClientSettings, "url"),
    default=default_url,
    show_default=f"that of `rollcall up` on this machine, else {ClientSettings().url}",
    callback=_checked_url,
    help="Address of the HTTP API; also ROLLCALL_URL.",
)

json_option = click.option("--json", "as_json", is_flag=True, help="Print the API's JSON answer.")

_start_option = click.option(
    "--start", type=click.IntRange(min=0), default=0, show_default=True, help="First entry."
)
_page_size_option = click.option(
    "--page-size",
    "pageSize",
    type=click.IntRange(1, 1000),
    default=DEFAULT_PAGE_SIZE,
    show_default=True,
    help="How many.",
)


def page_options(command: _Command) -> _Command:
    """Adds --start and --page-size, named as the API names them."""
    return _start_option(_page_size_option(command))


def call_options(command: _Command) -> _Command:
    """Adds --json and --url."""
    return json_option(url_option(command))
