"""The options by which commands say which users they mean."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import click

_Command = TypeVar("_Command", bound=Callable[..., Any])


def _pairs(
    _context: click.Context, _parameter: click.Parameter, given: Sequence[str]
) -> dict[str, str]:
    pairs = [pair.partition("=") for pair in given]
    if not all(name and sign for name, sign, _ in pairs):
        message = "It is NAME=VALUE."
        raise click.BadParameter(message)
    found: dict[str, str] = {}
    for name, _, value in pairs:
        if name in found:
            raise click.BadParameter(f"{name} is given twice: keep one of them.")
        found[name] = value
    return found


attribute_option = click.option(
    "--attribute",
    "attributes",
    metavar="NAME=VALUE",
    multiple=True,
    callback=_pairs,
    help="A custom attribute; may be given several times.",
)

_FILTERS = (
    click.option(
        "--search", metavar="TEXT", help="Only users whose name, email or number has this in it."
    ),
    click.option("--job", metavar="JOB", help="Only users whom this job was the last to set."),
    click.option("--email", help="Only the user with this email."),
    click.option("--mobile-number", "mobileNumber", help="Only users with this number."),
    click.option("--country", help="Only users of this country."),
    click.option("--state", help="Only users of this state."),
    attribute_option,
)


def user_filters(command: _Command) -> _Command:
    """Adds the filters of users, named as the API names them; those by attribute apart."""
    for option in reversed(_FILTERS):
        command = option(command)
    return command


def attribute_filters(attributes: Mapping[str, str]) -> dict[str, str]:
    """The filters by custom attributes, as the API names them."""
    return {f"attributes.{name}": value for name, value in attributes.items()}
