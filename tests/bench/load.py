"""`./rollcall bench load`: many clients at once, what they wait, and whether anything is lost."""

import json
import statistics
import time
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import click
import psycopg
from rich.console import Console
from rich.table import Table

from deploy.local_stack.stack import LocalStack
from deploy.processes.signals import exit_on_stop_signals
from processor.verification.verify import verify_active
from tests.bench.files import write_users
from tests.bench.folders import work_folder
from tests.bench.load_clients import Answers, Load
from tests.bench.services import READY_TIMEOUT_S, Installation, installation

CLIENTS: Final = {"upload": 50, "status": 20, "users": 20, "stream": 5, "create": 20}
_SIZES: Final = (1000, 2000, 5000, 10_000, 20_000, 50_000, 100_000)
_FILES_EACH: Final = 2
_SAMPLE_S: Final = 5
_POLL_S: Final = 0.2
_SHOWN_ERRORS: Final = 10
_CREATED: Final = "SELECT count(*) FROM users WHERE email = ANY(%s)"


@click.command()
@click.option("--minutes", default=10.0, show_default=True, help="How long the clients ask.")
@click.option("--processors", default=2, show_default=True, help="Processors that share the work.")
@click.option("--seed", default=1, show_default=True, help="Of the files.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object on stdout.")
def load(*, minutes: float, processors: int, seed: int, as_json: bool) -> None:
    """Let 115 clients upload, read, follow and create users at once.

    50 upload files of 1,000 to 100,000 rows, 20 read statuses and 20 users, 5 follow jobs, 20
    create users.  Every job must end with all its lines, every created user must be there, and
    the tables must be what the log comes to; else, or where an answer is an error other than
    429, the exit code is 1.
    """
    exit_on_stop_signals()
    console = Console(stderr=as_json)
    with work_folder() as folder, LocalStack(folder / "stack", console=console) as stack:
        files = _files(folder, seed)
        with installation(stack, folder) as installed:
            installed.start_api_and_publisher()
            installed.start_processors(processors)
            installed.client.wait_ready(READY_TIMEOUT_S)
            found = _loaded(installed, files, minutes)
    if as_json:
        click.echo(json.dumps(found.as_dict()))
    else:
        found.print(console)
    if found.answers.errors or found.lost:
        raise SystemExit(1)


@dataclass(slots=True)
class Found:
    """What the clients were told, and what was there in the end."""

    answers: Answers
    memory_mb: list[dict[str, float]] = field(default_factory=list[dict[str, float]])
    """By process, in turn."""
    lost: list[str] = field(default_factory=list[str])
    """What is not as it was answered, a sentence each."""

    def as_dict(self) -> dict[str, Any]:
        """All of it, with percentiles of the milliseconds."""
        return {
            "answers": {kind: _percentiles(ms) for kind, ms in self.answers.ms.items()},
            "tooMany": dict(self.answers.too_many),
            "errors": self.answers.errors[:_SHOWN_ERRORS],
            "jobs": len(self.answers.jobs),
            "lines": sum(self.answers.jobs.values()),
            "users": len(self.answers.users),
            "memoryMb": {"early": self._memory(0, 1), "late": self._memory(2, 3)},
            "lost": self.lost,
        }

    def print(self, console: Console) -> None:
        """Show it as tables."""
        shown = self.as_dict()
        table = Table("Clients", "answers", "median, ms", "99 %, ms", "429")
        for kind, found in shown["answers"].items():
            refused = self.answers.too_many[kind]
            times = (f"{found[part]:,.0f}" for part in ("median", "p99"))
            table.add_row(kind, f"{found['count']:,}", *times, str(refused))
        console.print(table)
        memory = Table("Process", "early, MB", "late, MB")
        for name, early in shown["memoryMb"]["early"].items():
            memory.add_row(name, f"{early:,.0f}", f"{shown['memoryMb']['late'][name]:,.0f}")
        console.print(memory)
        console.print(f"{shown['jobs']:,} jobs with {shown['lines']:,} lines have ended,")
        console.print(f"{shown['users']:,} users were created one by one.")
        for error in shown["errors"]:
            console.print(f"error: {error}", markup=False)
        for sentence in self.lost or ["Nothing was lost."]:
            console.print(sentence, markup=False)

    def _memory(self, begin: int, end: int) -> dict[str, float]:
        """The mean of each process in a third of the time."""
        third = max(1, len(self.memory_mb) // 3)
        samples = self.memory_mb[begin * third : end * third] or self.memory_mb
        return {name: statistics.fmean(each[name] for each in samples) for name in samples[0]}


def _percentiles(ms: list[float]) -> dict[str, float]:
    ordered = sorted(ms)
    at = {"median": 0.5, "p99": 0.99, "most": 1.0}
    found = {name: ordered[int(share * (len(ordered) - 1))] for name, share in at.items()}
    return {"count": len(ordered), **found}


def _files(folder: Path, seed: int) -> list[tuple[Path, int]]:
    """Files of users of many sizes, in two editions of the same users."""
    made: list[tuple[Path, int]] = []
    for lines in _SIZES:
        for edition in range(_FILES_EACH):
            path = folder / f"load-{lines}-{edition}.csv"
            write_users(path, lines, seed=seed, edition=edition)
            made.append((path, lines))
    return made


def _loaded(installed: Installation, files: list[tuple[Path, int]], minutes: float) -> Found:
    load = Load(installed.another_client, files)
    found = Found(load.answers)
    load.start(CLIENTS)
    try:
        end = time.monotonic() + minutes * 60
        while time.monotonic() < end:
            found.memory_mb.append(installed.memory_mb())
            time.sleep(min(_SAMPLE_S, max(0.0, end - time.monotonic())))
    finally:
        load.stop()
    found.lost = _lost(installed, load.answers)
    return found


def _lost(installed: Installation, answers: Answers) -> list[str]:
    lost: list[str] = []
    names = ("inserted", "updated", "unchanged", "rejected")
    with closing(installed.another_client()) as client:
        for job_id, lines in answers.jobs.items():
            status = client.wait_ended(job_id, poll_s=_POLL_S)
            if sum(status[name] for name in names) != lines:
                lost.append(f"Job {job_id} of {lines} lines has ended with others: {status}")
    with psycopg.connect(installed.settings.database_url) as connection:
        row = connection.execute(_CREATED, [answers.users]).fetchone()
    there = row[0] if row else 0
    if there != len(answers.users):
        lost.append(f"{len(answers.users) - there} users whose creation was answered are missing")
    if not verify_active(installed.settings).is_proven:
        lost.append("The tables are not what the log comes to: see rollcall verify")
    return lost
