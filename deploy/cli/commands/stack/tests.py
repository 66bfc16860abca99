"""`./rollcall test`."""

import os
import sys

import click

from deploy import CHECKOUT

_PROCESSES = min((os.cpu_count() or 1) + 1, 6)
"""One more than processors, as a test often waits; each with servers, takes 1.5 GB of memory."""
_SIDE_BY_SIDE = ("-n", str(_PROCESSES), "--dist", "worksteal")
"""Of the whole suite: each process runs its share file by file, so that what a file's tests share
is started once; one that is done takes half of what another has left."""


@click.command(context_settings={"ignore_unknown_options": True})
@click.option("--under-load", is_flag=True, help="Run them beside four busy loops.")
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def test(*, under_load: bool, arguments: tuple[str, ...]) -> None:
    """Run the tests; ARGUMENTS go to pytest, and paths are those of the checkout.

    Without ARGUMENTS all of them run, one more at once than there are processors.
    `rollcall test -- --help` shows what pytest takes.
    """
    assert CHECKOUT is not None  # elsewhere the program does not know this command
    os.chdir(CHECKOUT)
    command = [sys.executable, "-m", "pytest", *(arguments or _SIDE_BY_SIDE)]
    if under_load:
        command.append("--under-load")
    os.execv(sys.executable, command)  # noqa: S606 - our own interpreter
