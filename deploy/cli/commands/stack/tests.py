"""`./rollcall test`: runs the tests of a checkout."""

import os
import sys

import click
import psutil

from deploy import CHECKOUT

_MOST_PROCESSES = 8
_GIB_OF_EACH = 2
_PROCESSORS = os.cpu_count() or 1
_SIDE_BY_SIDE = ("--dist", "loadfile", "--no-loadscope-reorder")
"""Of the whole suite: a file's tests share what is started for them, and files run in the order of
their folders, so that the short ones of `unit` come last and all processes end together."""


@click.command(context_settings={"ignore_unknown_options": True})
@click.option("--under-load", is_flag=True, help="Run them beside four busy loops.")
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def test(*, under_load: bool, arguments: tuple[str, ...]) -> None:
    """Run the tests; ARGUMENTS go to pytest, and paths are those of the checkout.

    Without ARGUMENTS all of them run, more at once than there are processors.
    `rollcall test -- --help` shows what pytest takes.
    """
    assert CHECKOUT is not None  # elsewhere the program does not know this command
    os.chdir(CHECKOUT)
    command = [
        sys.executable,
        "-m",
        "pytest",
        *(arguments or ("-n", _processes(under_load=under_load), *_SIDE_BY_SIDE)),
    ]
    if under_load:
        command.append("--under-load")
    os.execv(sys.executable, command)  # noqa: S606 - our own interpreter


def _processes(*, under_load: bool) -> str:
    """Return how many run side by side; all use one Kafka and one PostgreSQL.

    Twice as many as there are processors and one more, because tests wait most of their time;
    beside the busy loops one more is enough to leave no processor idle.
    """
    wanted = _PROCESSORS + 1 if under_load else 2 * _PROCESSORS + 1
    fitting = psutil.virtual_memory().available // (_GIB_OF_EACH << 30)
    return str(max(1, min(wanted, fitting, _MOST_PROCESSES)))
