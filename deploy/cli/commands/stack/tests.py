"""`./rollcall test`."""

import os
import sys

import click

from deploy import CHECKOUT

_SIDE_BY_SIDE = ("-n", "2", "--dist", "worksteal")
"""Of the whole suite: each of two processes runs its half file by file, so that what a file's tests
share is started once; the one that is done takes half of what the other has left."""


@click.command(context_settings={"ignore_unknown_options": True})
@click.option("--under-load", is_flag=True, help="Run them beside four busy loops.")
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def test(*, under_load: bool, arguments: tuple[str, ...]) -> None:
    """Run the tests; ARGUMENTS go to pytest, and paths are those of the checkout.

    Without ARGUMENTS all of them run, two side by side.
    `rollcall test -- --help` shows what pytest takes.
    """
    assert CHECKOUT is not None  # elsewhere the program does not know this command
    os.chdir(CHECKOUT)
    command = [sys.executable, "-m", "pytest", *(arguments or _SIDE_BY_SIDE)]
    if under_load:
        command.append("--under-load")
    os.execv(sys.executable, command)  # noqa: S606 - our own interpreter
