"""`./rollcall chaos`: histories of jobs and faults, until the time is over."""

from __future__ import annotations

import itertools
import secrets
import shutil
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click
from rich.console import Console

from deploy.processes.signals import exit_on_stop_signals
from tests.support.chaos.cluster import cluster
from tests.support.chaos.history import Chaos
from tests.support.chaos.report import Report
from tests.support.servers.surroundings import ground

if TYPE_CHECKING:
    from tests.support.chaos.cluster import Cluster

_MOVES: Final = 2
_ROUND_S: Final = 300.0
"""The length of one history: a failure is looked for in so much, and what is held at its end."""


@click.command()
@click.option("--minutes", default=2.0, show_default=True, help="So long things are broken.")
@click.option("--seed", default=None, help="Of jobs and faults; by chance if not given.")
@click.option("--brokers", default=1, show_default=True, help="Of Kafka; each keeps all topics.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object on stdout.")
def chaos(*, minutes: float, seed: str | None, brokers: int, as_json: bool) -> None:
    """Import, write, undo and rebuild while processes and servers are killed and frozen.

    At the end the tables must be what a sequential model makes of the log, and what the log
    comes to when it is read again. Then users are erased, by commands that are killed on the way.
    It runs on a Kafka and a Postgres of its own.
    Where it fails, it prints the seed, and keeps the history and the logs of all processes.
    """
    exit_on_stop_signals()
    console = Console(stderr=as_json)
    total = Report(seed or secrets.token_hex(4))
    console.log(f"seed {total.seed}")
    with cluster(brokers) as servers:
        end_s = time.monotonic() + 60 * minutes
        for number in itertools.count():
            duration_s = min(_ROUND_S, end_s - time.monotonic())
            if duration_s <= 0:
                break
            total.add(_history(servers, f"{total.seed}.{number}", duration_s, console))
    console.log(f"{total.jobs} jobs, {sum(total.faults.values())} faults, 0 differences")
    if as_json:
        click.echo(total.as_json())
    else:
        console.print_json(total.as_json())


def _history(servers: Cluster, seed: str, duration_s: float, console: Console) -> Report:
    """One history on a database and topics of its own; what it wrote is kept where it fails."""
    folder = Path(tempfile.mkdtemp(prefix=f"rollcall-chaos-{seed}-"))
    with ground(servers.surroundings, replication_factor=str(servers.brokers)) as env:
        try:
            chaos = Chaos(env, folder, servers.servers, servers.proxies, moves=_MOVES)
            report = chaos.run(seed, duration_s)
        except BaseException:
            console.log(f"seed {seed}, {duration_s:.0f} s: history and logs are in {folder}")
            raise
    shutil.rmtree(folder)
    faults = sum(report.faults.values())
    console.log(
        f"seed {seed}: {report.jobs} jobs, {report.rows} rows, {faults} faults: as modelled"
    )
    return report
