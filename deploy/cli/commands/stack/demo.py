"""`./rollcall demo`: imports the sample files into a stack of its own."""

import contextlib
import json
import sys
import tempfile
from collections.abc import Callable, Generator
from pathlib import Path
from typing import IO, Any, LiteralString

import click
import psycopg
from psycopg.rows import dict_row
from rich.console import Console

from deploy import samples
from deploy.api_client.client import ApiClient, ApiError, path_of
from deploy.api_client.job import JobCounts, follow
from deploy.api_client.upload import Upload, send, send_for_dry_run
from deploy.cli.commands.stack.up import port_option, print_running, run_until_stopped, started
from deploy.cli.output.dry_run_preview import print_dry_run
from deploy.cli.output.faults import fault_rows
from deploy.cli.output.job_progress import follow_job, send_upload
from deploy.cli.output.tables import ERROR_COLUMNS, output, print_counts, print_table
from deploy.local_stack.rollcall import Plan, Running
from schemas.log.job_states import COUNTS

_SAMPLES = Path(samples.__file__).parent
_SHOWN_ERRORS = 5

_COUNT_USERS = "SELECT count(*) AS users FROM users"
_SOME_USERS = """
    SELECT email, first_name, last_name, country, state, attributes
    FROM users ORDER BY id LIMIT 8
"""


@click.command()
@port_option
@click.option(
    "--data-dir",
    type=click.Path(file_okay=False, path_type=Path, resolve_path=True),
    help="Folder that keeps the data.  [default: a temporary one, removed at the end]",
)
@click.option("--exit", "ends", is_flag=True, help="End after the imports, not at Ctrl-C.")
def demo(port: int | None, data_dir: Path | None, ends: bool) -> None:  # noqa: FBT001 - a flag of the command line
    """Start everything, and import sample files with insert, upsert and delsert.

    Then give users a custom attribute, first as a dry run; and leave some history to look at.

    With --exit, the exit status is 0 only if every count is as expected.
    """
    with _folder(data_dir) as folder, started(Plan(folder, port, processors=1)) as running:
        print_running(running)
        is_as_expected = _import_samples(running, output())
        if ends:
            sys.exit(0 if is_as_expected else 1)
        run_until_stopped(running)


@contextlib.contextmanager
def _folder(data_dir: Path | None) -> Generator[Path]:
    if data_dir is not None:
        yield data_dir
        return
    with tempfile.TemporaryDirectory(prefix="rollcall-demo-") as folder:
        yield Path(folder)


def _import_samples(running: Running, console: Console) -> bool:
    expected: dict[str, dict[str, int]] = json.loads((_SAMPLES / "expected.json").read_text())
    with ApiClient(running.url, running.account) as client:
        try:
            results = [
                _import_sample(running, client, mode, counts, console)
                for mode, counts in expected.items()
            ]
            results.append(_add_attribute(running, client, console))
            results.append(_add_history(running, client, console))
        except ApiError as error:
            console.print(f"Error: {error}", markup=False)
            return False
    _print_users(running, console)
    return all(results)


def _import_sample(
    running: Running, client: ApiClient, mode: str, expected: dict[str, int], console: Console
) -> bool:
    console.rule(mode)
    with (_SAMPLES / f"{mode}.csv").open("rb") as file:
        # The sample replaces most of the audience, which a delsert must be told to do.
        upload = Upload(file=file, name=f"{mode}.csv", mode=mode, max_delete_percent=100)
        job_id, counts = _import(client, upload, console)
    errors = client.get(path_of("batchinfo", "errors", job_id), {"pageSize": _SHOWN_ERRORS})
    title = f"The first {len(errors['Errors'])} of {errors['total']} rejected lines"
    print_table(console, title, ERROR_COLUMNS, fault_rows(errors["Errors"]))
    return _is_as_expected(outcome(counts) | {"users": _count_users(running)}, expected, console)


def _add_attribute(running: Running, client: ApiClient, console: Console) -> bool:
    """Defines an attribute and gives it to the users that are shown, by their emails alone."""
    console.rule("a custom attribute, and a dry run")
    client.post("/admin/attributes", {"name": "plan", "type": "string"})
    emails = [user["email"] for user in _query(running, _SOME_USERS)]
    users = _count_users(running)
    with _file("\n".join(["Email,Plan", *(f"{email},gold" for email in emails)])) as file:
        upload = Upload(file=file, name="plan.csv", mode="upsert")
        print_dry_run(console, upload.name, send_for_dry_run(client, upload, advance=_ignore))
        _, counts = _import(client, upload, console)
    expected = dict.fromkeys(("total", *COUNTS), 0) | {"users": users}
    expected |= {"total": len(emails), "updated": len(emails)}
    return _is_as_expected(outcome(counts) | {"users": _count_users(running)}, expected, console)


def _add_history(running: Running, client: ApiClient, console: Console) -> bool:
    """Leave more to look at: the other modes, and an import that is undone."""
    console.rule("update, ignore, delete, and an undo")
    emails = [user["email"] for user in _query(running, _SOME_USERS)]
    users = _count_users(running)
    moved = [f"{email},Iceland" for email in (*emails[:2], "nobody@example.com")]
    guests = [f"Guest,Number {n},guest{n}@example.com,Japan" for n in range(3)]
    files: dict[str, tuple[str, list[str]]] = {
        "moved.csv": ("update", ["Email,Country", *moved]),
        "guests.csv": ("ignore", ["First Name,Last Name,Email,Country", *guests]),
        "left.csv": ("delete", ["Email", emails[3]]),
        "mistake.csv": ("upsert", ["Email,Last Name", *(f"{email},Test" for email in emails[4:])]),
    }
    job_id = ""
    for name, (mode, lines) in files.items():
        with _file("\n".join(lines)) as file:
            job_id, _ = _import(client, Upload(file=file, name=name, mode=mode), console)
    client.post(path_of("batchinfo", "undo", job_id))
    for _status in follow(client, job_id, lambda counts: counts.state == "REVERTED"):
        pass
    console.print(f"mistake.csv is undone; {running.url}/ shows what was then, and what is now.")
    return _count_users(running) == users + len(guests) - 1


def _is_as_expected(found: dict[str, int], expected: dict[str, int], console: Console) -> bool:
    if found == expected:
        console.print("[green]All counts are as expected.[/green]")
        return True
    console.print(f"[red]Expected {expected}, found {found}.[/red]")
    return False


def _import(client: ApiClient, upload: Upload, console: Console) -> tuple[str, JobCounts]:
    def once(advance: Callable[[int], object]) -> dict[str, Any]:
        return send(client, upload, idempotency_key=None, advance=advance)

    job_id = str(send_upload(upload, once, console, retry_for_s=0)["id"])
    counts = JobCounts.of(follow_job(client, job_id, upload.name, console))
    print_counts(console, job_id, counts)
    return job_id, counts


@contextlib.contextmanager
def _file(text: str) -> Generator[IO[bytes]]:
    with tempfile.TemporaryFile() as file:
        file.write(text.encode())
        file.flush()
        yield file


def _ignore(_sent_bytes: int) -> None:
    return


def outcome(counts: JobCounts) -> dict[str, int]:
    """Return a job's counts in the form of `expected.json`."""
    return {name: getattr(counts, name) for name in ("total", *COUNTS)}


def _count_users(running: Running) -> int:
    return int(_query(running, _COUNT_USERS)[0]["users"])


def _print_users(running: Running, console: Console) -> None:
    console.rule("the table `users`")
    columns = ("email", "first_name", "last_name", "country", "state", "attributes")
    rows = _query(running, _SOME_USERS)
    print_table(console, "Some users, as `rollcall psql` shows them", columns, rows)


def _query(running: Running, query: LiteralString) -> list[dict[str, Any]]:
    with (
        psycopg.connect(running.stack.conninfo) as connection,
        connection.cursor(row_factory=dict_row) as cursor,
    ):
        return cursor.execute(query).fetchall()
