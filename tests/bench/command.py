"""`./rollcall bench`."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import click
from rich.console import Console

from deploy.local_stack.stack import LocalStack
from deploy.processes.signals import exit_on_stop_signals
from tests.bench.baseline import Baseline
from tests.bench.exports import measured_exports
from tests.bench.files import write_users
from tests.bench.folders import work_folder
from tests.bench.load import load
from tests.bench.looking_back import measured_looks_back
from tests.bench.measurements import Measurements, Mode
from tests.bench.reads import measured_pages
from tests.bench.services import READY_TIMEOUT_S, Installation, installation
from tests.bench.stages import measured_stages
from tests.bench.writes import CLIENTS, created_alone, created_by_many, created_meanwhile

_SMALL_JOBS = 30
_UNDONE_SHARE = 10
"""One in so many users is in the job that is undone."""
_SMALL_JOB_ROWS = 10
_POLL_S = 0.05
_SMALL_POLL_S = 0.01


@click.group(invoke_without_command=True)
@click.option("--rows", default=1_000_000, show_default=True, help="Users in each file.")
@click.option("--processors", default=2, show_default=True, help="Processors that share the work.")
@click.option("--repetitions", default=3, show_default=True, help="The median of them counts.")
@click.option("--seed", default=1, show_default=True, help="Of the files.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object on stdout.")
@click.pass_context
def bench(
    ctx: click.Context, *, rows: int, processors: int, repetitions: int, seed: int, as_json: bool
) -> None:
    """Measure imports, beside psql's COPY and INSERT … ON CONFLICT on the same machine.

    It runs on a Kafka and a Postgres of its own, in a folder that is gone afterwards.
    """
    if ctx.invoked_subcommand is not None:
        return
    exit_on_stop_signals()
    console = Console(stderr=as_json)
    measured = Measurements(rows, processors)
    with work_folder() as folder, LocalStack(folder / "stack", console=console) as stack:
        run = Run(folder, stack, measured, console.log)
        run.make_files(seed)
        for _ in range(repetitions):
            run.baseline()
            run.imports()
            run.stages()
            run.looks_back()
    if as_json:
        click.echo(measured.as_json())
    else:
        measured.print(console)


bench.add_command(load)


class Run:
    """One run: the parts that alternate, and where they note what they measured."""

    def __init__(
        self,
        folder: Path,
        stack: LocalStack,
        measured: Measurements,
        say: Callable[[str], None],
    ) -> None:
        self._folder = folder
        self._stack = stack
        self._measured = measured
        self._say = say

    def make_files(self, seed: int) -> None:
        """Writes the file of users, another edition of it, and small files of other users."""
        rows = self._measured.rows
        self._say(f"making {rows:,} users")
        write_users(self._file(0), rows, seed=seed)
        write_users(self._file(1), rows, seed=seed, edition=1)
        write_users(self._undone(), max(1, rows // _UNDONE_SHARE), seed=seed, edition=2)
        for number in range(_SMALL_JOBS):
            write_users(self._small(number), _SMALL_JOB_ROWS, seed=seed, first=rows + number * 10)

    def baseline(self) -> None:
        """Times psql: insert into an empty table, then upsert of the same users."""
        baseline = Baseline(self._stack.conninfo)
        try:
            baseline.reset()
            for edition, mode in enumerate(("insert", "upsert")):
                seconds = baseline.load(self._file(edition), mode)
                self._measured.baseline_s.setdefault(mode, []).append(seconds)
                self._say(f"psql, {mode}: {seconds:.2f} s")
        finally:
            baseline.drop()

    def imports(self) -> None:
        """Times uploads to a fresh installation, from the first byte to the job complete.

        Raises:
            ClickException: A job did not end with the counts that it must have.
        """
        with installation(self._stack, self._folder) as installed:
            installed.start_api_and_publisher()
            installed.start_processors(self._measured.processors)
            installed.client.wait_ready(READY_TIMEOUT_S)
            self._import(installed, self._file(0), "insert", "inserted")
            self._dry_run(installed)
            self._import(installed, self._file(1), "upsert", "updated")
            self._import(installed, self._file(0), "delsert", "inserted")
            self._exports(installed)
            self._small_jobs(installed)
            self._pages(installed)
            self._creations(installed)
            self._measured.note_memory(installed.peak_memory_bytes())

    def stages(self) -> None:
        """Times each stage alone."""
        with installation(self._stack, self._folder) as installed:
            files = (self._file(0), self._file(1))
            for stage, seconds in measured_stages(installed, files, self._measured.processors):
                self._measured.stage_s.setdefault(stage, []).append(seconds)
                self._say(f"alone: {stage}: {seconds:.2f} s")

    def looks_back(self) -> None:
        """Times what reads the log again, on an installation of its own."""
        with installation(self._stack, self._folder) as installed:
            files = (self._file(0), self._file(1), self._undone())
            for what, events, seconds in measured_looks_back(
                installed, files, self._measured.processors
            ):
                self._measured.look_back_events[what] = events
                self._measured.look_back_s.setdefault(what, []).append(seconds)
                self._say(f"{what}, {events:,} events: {seconds:.2f} s")
            self._measured.note_memory(installed.peak_memory_bytes())

    def _import(self, installed: Installation, file: Path, mode: Mode, counted: str) -> None:
        installed.checkpoint()
        seconds, status = installed.client.import_file(file, mode, poll_s=_POLL_S)
        if status[counted] != self._measured.rows:
            message = f"{mode} of {self._measured.rows} users came to {status}"
            raise click.ClickException(message)
        self._measured.import_s.setdefault(mode, []).append(seconds)
        self._say(f"import, {mode}: {seconds:.2f} s")

    def _dry_run(self, installed: Installation) -> None:
        """Before the import that it tells of, whose counts show that it has changed nothing."""
        installed.checkpoint()
        seconds, answer = installed.client.dry_run(self._file(1), "upsert")
        if answer["update"] != self._measured.rows:
            message = f"a dry run of {self._measured.rows} updates came to {answer}"
            raise click.ClickException(message)
        self._measured.dry_run_s.append(seconds)
        self._say(f"dry run, upsert: {seconds:.2f} s")

    def _exports(self, installed: Installation) -> None:
        for what, seconds in measured_exports(installed):
            self._measured.export_s.setdefault(what, []).append(seconds)
            self._say(f"{what}: {seconds:.2f} s")

    def _pages(self, installed: Installation) -> None:
        # Every user is there already, so every line is rejected.
        job_id = installed.client.upload(self._file(0), "insert")
        status = installed.client.wait_ended(job_id, poll_s=_POLL_S)
        self._say(f"{status['rejected']:,} lines are rejected, to read them by pages")
        for page in measured_pages(installed, job_id):
            self._measured.page_ms.setdefault(page.what, []).append(page.http_ms)
            self._measured.page_baseline_ms.setdefault(page.what, []).append(page.sql_ms)

    def _creations(self, installed: Installation) -> None:
        for what, measure in {
            "one client": created_alone,
            f"{CLIENTS} clients": created_by_many,
            "during an upsert": partial(created_meanwhile, file=self._file(1), mode="upsert"),
        }.items():
            found = measure(installed)
            self._measured.create_ms.setdefault(what, []).extend(found.milliseconds)
            self._measured.creates_per_s.setdefault(what, []).append(found.per_s)
            self._say(f"create a user, {what}: {found.per_s:.0f} a second")

    def _small_jobs(self, installed: Installation) -> None:
        for number in range(_SMALL_JOBS):
            seconds, _ = installed.client.import_file(self._small(number), "insert", poll_s=_POLL_S)
            self._measured.small_job_s.append(seconds)

    def _file(self, edition: int) -> Path:
        return self._folder / f"users-{edition}.csv"

    def _undone(self) -> Path:
        return self._folder / "undone.csv"

    def _small(self, number: int) -> Path:
        return self._folder / f"small-{number}.csv"
