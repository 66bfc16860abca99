"""`./rollcall status`, `jobs` and `errors`: what became of uploads."""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from deploy.api_client.client import path_of
from deploy.api_client.job import JobCounts
from deploy.cli.api_command import ApiCommand, call_options, page_options
from deploy.cli.output.error_file import write_error_file
from deploy.cli.output.faults import counts_text, fault_rows, print_fault_counts
from deploy.cli.output.job_progress import follow_job
from deploy.cli.output.job_table import print_jobs
from deploy.cli.output.tables import (
    ERROR_COLUMNS,
    counted,
    next_page,
    output,
    print_fields,
    print_json,
    print_line,
    print_list,
    progress_console,
)
from deploy.cli.session import api
from schemas.events import JOB_MODES
from schemas.log.job_states import JOB_STATES

_STATUSES = "/batchinfo/status"
_MODES = click.Choice(JOB_MODES)
_SAID_AGAIN = ("dataType", "statusMessage")
"""What is the same of every job, and what the state and the counts say better."""
_NOTE_COLUMNS = ("line", "column", "code", "value", "reason")
_STATES = click.Choice(JOB_STATES)


@click.command(
    cls=ApiCommand,
    examples=(
        "rollcall status 5889218372019237411",
        "rollcall status 5889218372019237411 --wait && echo all lines went in",
        "rollcall status 5889218372019237411 --json | jq .rejected",
    ),
    exit_status={1: "With --wait: the job has ended, and not every line went in."},
)
@click.argument("job_id", required=False)
@click.option("--wait", "waits", is_flag=True, help="Follow the job until it has ended.")
@call_options
def status(job_id: str | None, *, waits: bool, as_json: bool, url: str) -> None:
    """Show all that is known of the job JOB_ID; without it, the newest jobs."""
    if job_id is None:
        _show(url, {}, as_json=as_json)
        return
    with api(url) as client:
        if waits:
            answer = follow_job(client, job_id, job_id, progress_console())
        else:
            answer = client.get(path_of("batchinfo", "status", job_id))
    if as_json:
        print_json(answer)
    else:
        shown = {name: answer[name] for name in answer if name not in _SAID_AGAIN}
        counts = counts_text(answer.get("rejectedBy", ()))
        print_fields(output(), shown | {"rejectedBy": counts or None})
    if waits and JobCounts.of(answer).state != "COMPLETED":
        sys.exit(1)


@click.command(
    cls=ApiCommand,
    examples=(
        "rollcall jobs",
        "rollcall jobs --state COMPLETED_WITH_ERRORS --imported-by admin",
        "rollcall jobs --mode delsert --start 20 --page-size 20 --json",
    ),
)
@click.option("--state", type=_STATES, help="Only jobs in this state.")
@click.option("--mode", type=_MODES, help="Only jobs of this mode.")
@click.option("--imported-by", "importedBy", metavar="ACCOUNT", help="Only jobs of this account.")
@page_options
@call_options
def jobs(*, as_json: bool, url: str, **query: Any) -> None:
    """Show jobs, the newest first.

    As many columns as the terminal has room for; --json has all.
    """
    _show(url, query, as_json=as_json)


def _show(url: str, query: Mapping[str, Any], *, as_json: bool) -> None:
    with api(url) as client:
        answer = client.get(_STATUSES, query)
    if as_json:
        print_json(answer)
        return
    if not answer["total"]:
        print_line(output(), "0 jobs. `rollcall import FILE` starts one.")
        return
    title = counted(answer["total"], "job") + next_page(answer, "statuses", query)
    print_jobs(output(), title, answer["statuses"])


@click.command(
    cls=ApiCommand,
    examples=(
        "rollcall errors 5889218372019237411",
        "rollcall errors 5889218372019237411 --after 20",
        "rollcall errors 5889218372019237411 --csv rejected.csv   # correct it, import it again",
    ),
)
@click.argument("job_id")
@click.option("--after", type=click.IntRange(min=0), help="Only lines after this one.")
@click.option(
    "--csv",
    "csv_path",
    type=click.Path(dir_okay=False, allow_dash=True, path_type=Path),
    help="Write all rejected lines as uploaded, with their errors, to this file; - is stdout.",
)
@page_options
@call_options
def errors(job_id: str, *, csv_path: Path | None, as_json: bool, url: str, **query: Any) -> None:
    """Show the rejected lines of the job JOB_ID, in the order of its file.

    The file that --csv writes can be corrected and imported again as it is. An apostrophe before
    a cell, as in '+49 30 …, keeps a spreadsheet from running it as a formula; it may stay.
    """
    with api(url) as client:
        if csv_path is not None:
            write_error_file(client, job_id, csv_path)
            first = client.get(path_of("batchinfo", "errors", job_id), {"pageSize": 1})
            _print_unlisted(first, progress_console())
            return
        answer = client.get(path_of("batchinfo", "errors", job_id), query)
        if as_json:
            print_json(answer)
            return
        of_job = client.get(path_of("batchinfo", "status", job_id))
    found = answer["Errors"]
    more = next_page(answer, "Errors", query)
    print_fault_counts(output(), of_job.get("rejectedBy", ()))
    title = counted(answer["total"], "rejected line") + more
    rows = fault_rows(found)
    print_list(output(), title, ERROR_COLUMNS, rows, hint="All others went in, or will.")
    _print_unlisted(answer, output())


@click.command(cls=ApiCommand, examples=("rollcall notes 5889218372019237411",))
@click.argument("job_id")
@page_options
@call_options
def notes(job_id: str, *, as_json: bool, url: str, **query: Any) -> None:
    """Show the cells of the job JOB_ID that were not taken as they stood, though their lines count.

    An opt-in of a person who has opted out is such a cell, unless the file was imported with
    --opt-ins apply; and an invalid one that was left out with --on-invalid-optional drop.
    """
    with api(url) as client:
        answer = client.get(path_of("batchinfo", "notes", job_id), query)
    if as_json:
        print_json(answer)
        return
    title = counted(answer["total"], "note") + next_page(answer, "notes", query)
    hint = "All cells were taken as they stood, or will be."
    print_list(output(), title, _NOTE_COLUMNS, answer["notes"], hint=hint)


def _print_unlisted(answer: Mapping[str, Any], console: Console) -> None:
    """Print how the lines add up to what the status of an undone job says."""
    if unlisted := answer.get("unlisted"):
        line = (
            f"The job is undone. It had rejected {unlisted} more lines, because of users who were"
            " there then; they are not known any more, and would be judged anew."
        )
        print_line(console, line)
