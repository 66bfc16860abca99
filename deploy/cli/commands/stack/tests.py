"""`./rollcall test`."""

import os
import sys

import click

from deploy import CHECKOUT

_SIDE_BY_SIDE = ("-n", "2", "--dist", "loadfile")
"""Of the whole suite: most of its time is spent waiting for servers."""


@click.command(context_settings={"ignore_unknown_options": True})
@click.option("--under-load", is_flag=True, help="Run them beside four busy loops.")
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def test(*, under_load: bool, arguments: tuple[str, ...]) -> None:
    """Run the tests; ARGUMENTS go to pytest, and paths are those of the checkout.

    Without ARGUMENTS all of them run, two files side by side.
    `rollcall test -- --help` shows what pytest takes.
    """
    assert CHECKOUT is not None  # elsewhere the program does not know this command
    os.chdir(CHECKOUT)
    command = [sys.executable, "-m", "pytest", *(arguments or _SIDE_BY_SIDE)]
    if under_load:
        command.append("--under-load")
    os.execv(sys.executable, command)  # noqa: S606 - our own interpreter
