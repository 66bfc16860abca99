"""`./rollcall chaos`: histories of jobs and faults, until the time is over."""

from __future__ import annotations

import contextlib
import itertools
import secrets
import shutil
import sys
import tempfile
import time
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click
from rich.console import Console

from deploy.processes.signals import exit_on_stop_signals
from tests.support.chaos.cluster import cluster
from tests.support.chaos.faults import SORTS
from tests.support.chaos.history import REBUILT, SMALL, Chaos
from tests.support.chaos.moves import MovedLog
from tests.support.chaos.report import Report
from tests.support.servers.java_cache import java_cache
from tests.support.servers.surroundings import ground

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.support.chaos.cluster import Cluster
    from tests.support.chaos.history import Beside
    from tests.support.servers.surroundings import Ground

_ROUND_S: Final = 150.0
"""The length of one history: a failure is looked for in so much, and judging it takes as long."""
_LEAST_S: Final = 60.0
"""The shortest history after the first: what comes before and after it takes as long."""
_SHORTEST_S: Final = 10.0
"""What a failing one is shortened to."""
_SIZES: Final = (SMALL, REBUILT)
_MOVED: Final = 4
"""So many logs are moved beside each history."""
_TOLD: Final = 500
"""So many characters of what was found stand among the figures."""


@dataclass(frozen=True, slots=True)
class _Plan:
    """What one history is made of: the same again from the same values, but for its timing."""

    seed: str
    duration_s: float
    sorts: tuple[str, ...]

    @property
    def options(self) -> str:
        """Return the options of the command that repeats it."""
        only = "".join(f" --only {sort}" for sort in self.sorts if self.sorts != SORTS)
        return f"--seed {self.seed} --minutes {self.duration_s / 60:.2g}{only}"


@click.command()
@click.option("--minutes", default=2.0, show_default=True, help="So long histories begin.")
@click.option("--seed", default=None, help="Of jobs and faults; by chance if not given.")
@click.option("--brokers", default=1, show_default=True, help="Of Kafka; each keeps all topics.")
@click.option("--only", multiple=True, type=click.Choice(SORTS), help="Break these; else all.")
@click.option(
    "--shrink", is_flag=True, help="Look for a shorter history with fewer faults that fails too."
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object on stdout.")
def chaos(
    *,
    minutes: float,
    seed: str | None,
    brokers: int,
    only: tuple[str, ...],
    shrink: bool,
    as_json: bool,
) -> None:
    """Import, write, undo and rebuild while processes and servers are killed and frozen.

    At the end the tables must be what a sequential model makes of the log, and what the log
    comes to when it is read again. Then users are erased and the number of partitions changed, by
    commands that are killed on the way. Beside each history are smaller ones on the same
    servers: in them processes, and these commands, are killed at named points all the time.
    It runs on a Kafka and a Postgres of its own.
    Where it fails, it prints what repeats it, and keeps the history and the logs of all processes.
    """
    exit_on_stop_signals()
    console = Console(stderr=as_json)
    total = Report(seed or secrets.token_hex(4))
    console.log(f"seed {total.seed}")
    run = _Run(brokers, only or SORTS, total, console, shrinks=shrink)
    try:
        with java_cache():
            run.last(minutes)
    finally:  # what there is so far, too, where somebody stops it
        console.log(total.summary())
        if as_json:
            click.echo(total.as_json())
        else:
            console.print_json(total.as_json())
    sys.exit(bool(total.failures))


@dataclass(frozen=True, slots=True)
class _Run:
    """One history after another; where one fails the others are run all the same."""

    brokers: int
    sorts: tuple[str, ...]
    total: Report
    console: Console
    shrinks: bool

    def last(self, minutes: float) -> None:
        """Run histories until the time is over, on the same servers until one fails."""
        with contextlib.ExitStack() as stack:
            servers = stack.enter_context(cluster(self.brokers))
            if not servers.disks:
                self.console.log("no disk can be made full: that takes root and 16 GiB of memory")
            for plan in self._plans(time.monotonic() + 60 * minutes):
                if not self._is_passed(servers, plan):
                    stack.close()  # they may be as broken as it left them
                    servers = stack.enter_context(cluster(self.brokers))
                    if self.shrinks:
                        _shrink(servers, plan, self.console)

    def _plans(self, end_s: float) -> Iterator[_Plan]:
        for number in itertools.count():
            duration_s = min(_ROUND_S, end_s - time.monotonic())
            if number and duration_s < _LEAST_S:
                return
            name = f"{self.total.seed}.{number}" if number else self.total.seed
            yield _Plan(name, duration_s, self.sorts)

    def _is_passed(self, servers: Cluster, plan: _Plan) -> bool:
        try:
            _history(servers, plan, self.console, self.total)
        except Exception as error:  # noqa: BLE001 - whatever it is, the run has failed and says so
            found = f"{type(error).__name__}: {error}"[:_TOLD]
            self.total.failures.append(f"--brokers {self.brokers} {plan.options}: {found}")
            return False
        return True


def _history(servers: Cluster, plan: _Plan, console: Console, total: Report) -> None:
    """One history on a database and topics of its own; what it wrote is kept where it fails.

    Its figures are added to those of all, unless it fails.
    """
    folder = Path(tempfile.mkdtemp(prefix=f"rollcall-chaos-{plan.seed}-"))
    report = Report(plan.seed, hits=total.hits, seconds=plan.duration_s)
    try:
        with contextlib.ExitStack() as stack:
            chaos = Chaos(
                _ground(servers, stack),
                folder,
                servers.servers,
                servers.proxies,
                servers.disks,
                beside=_beside(servers, plan, folder, stack),
                has_moves=True,
                sorts=plan.sorts,
            )
            chaos.run(report, plan.duration_s)
    except BaseException:
        console.print_exception()
        console.log(
            f"failed: --brokers {servers.brokers} {plan.options}: history and logs are in {folder}"
        )
        raise
    shutil.rmtree(folder)
    total.add(report)
    console.log(f"seed {plan.seed}: {report.summary()}")


def _beside(
    servers: Cluster, plan: _Plan, folder: Path, stack: contextlib.ExitStack
) -> list[Beside]:
    """Small histories and logs that are moved, where failpoints are among what is broken."""
    sorts = [sort for sort in plan.sorts if sort == "failpoints"]
    if not sorts:
        return []
    kinds: list[Callable[[Ground, Path], Beside]] = [
        *(partial(Chaos, servers={}, size=size, sorts=sorts) for size in _SIZES),
        *[MovedLog] * _MOVED,
    ]
    folders = [folder / f"beside-{number}" for number, _ in enumerate(kinds, 1)]
    for each in folders:
        each.mkdir()
    return [make(_ground(servers, stack), its) for make, its in zip(kinds, folders, strict=True)]


def _ground(servers: Cluster, stack: contextlib.ExitStack) -> Ground:
    return stack.enter_context(
        ground(servers.surroundings, replication_factor=str(servers.brokers))
    )


def _shrink(servers: Cluster, plan: _Plan, console: Console) -> None:
    """Leave out one sort of faults after another, then halve the time, while it still fails."""

    def fails(smaller: _Plan) -> bool:
        try:
            _history(servers, smaller, console, Report(plan.seed))
        except Exception:  # noqa: BLE001 - it has said what
            return True
        return False

    for sort in SORTS:
        fewer = tuple(each for each in plan.sorts if each != sort)
        if fewer and fewer != plan.sorts and fails(smaller := replace(plan, sorts=fewer)):
            plan = smaller
    while plan.duration_s > _SHORTEST_S:
        smaller = replace(plan, duration_s=plan.duration_s / 2)
        if not fails(smaller):
            break
        plan = smaller
    console.log(f"the shortest that failed: --brokers {servers.brokers} {plan.options}")
