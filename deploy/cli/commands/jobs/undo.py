"""`./rollcall undo`, `redo` and `cancel`: a job taken out of the audience, or put back into it."""

import sys
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import click
from rich.console import Console

from deploy.api_client.client import ApiClient, ApiError, path_of
from deploy.api_client.job import JobCounts, follow
from deploy.api_client.retry import RetryPolicy, is_passing, with_retries
from deploy.cli.api_command import ApiCommand, call_options
from deploy.cli.command_error import CommandError
from deploy.cli.output.job_progress import with_failures_printed
from deploy.cli.output.progress import reported, share_text
from deploy.cli.output.tables import output, print_counts, print_json, print_line, progress_console
from deploy.cli.output.undo_preview import print_preview
from deploy.cli.session import api
from schemas.log.job_states import ENDED_STATES

_INTERRUPTED = 130
_RETRY_FOR_S = 120.0
_ASK_AGAIN_S = 0.5
_EXIT_STATUS = {
    0: "Done; with --dry-run: shown.",
    1: "The answer to the question was no; nothing was changed.",
    _INTERRUPTED: "Ctrl-C; what the log has goes on.",
}
_Command = TypeVar("_Command", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True, kw_only=True)
class _Change:
    """One of the three, and the words for it."""

    name: str
    doing: str
    question: str
    last_states: frozenset[str]

    def path(self, job_id: str) -> str:
        """Return the path of the API that takes it."""
        return path_of("batchinfo", self.name, job_id)

    def is_last(self, counts: JobCounts) -> bool:
        """Return whether the change is made; another instance may not have heard of it."""
        return counts.state in self.last_states


_UNDO = _Change(
    name="undo",
    doing="Undo",
    question="Undo job {job_id}?",
    last_states=frozenset({"REVERTED", "CANCELLED", "FAILED"}),
)
_REDO = _Change(
    name="redo",
    doing="Redo",
    question="Do job {job_id} again?",
    last_states=ENDED_STATES - {"REVERTED", "FAILED"},
)
_CANCEL = _Change(
    name="cancel",
    doing="Cancel",
    question="",
    last_states=frozenset({"CANCELLED", "FAILED"}),
)


def _options(command: _Command) -> _Command:
    """Add the options of undo and redo."""
    dry_run = click.option(
        "--dry-run", is_flag=True, help="Show what would happen, and change nothing."
    )
    yes = click.option("--yes", "is_sure", is_flag=True, help="Don't show it first, and don't ask.")
    return click.argument("job_id")(dry_run(yes(call_options(command))))


@click.command(
    cls=ApiCommand,
    examples=(
        "rollcall undo 5889218372019237411 --dry-run",
        "rollcall undo 5889218372019237411",
        "rollcall undo 5889218372019237411 --yes --json | jq .state",
    ),
    exit_status=_EXIT_STATUS,
)
@_options
def undo(job_id: str, *, dry_run: bool, is_sure: bool, as_json: bool, url: str) -> None:
    """Undo the job JOB_ID: the audience becomes as if it had never run.

    What later jobs and other producers did is kept. Readers see the users as they are until all
    is ready, then the others. It can be taken back with `rollcall redo JOB_ID`.

    The undo of a job that still runs is queued until it has ended; with --yes, because nobody can
    be shown before what it will do.
    """
    with api(url) as client:
        _run(client, _UNDO, job_id, _Options(dry_run=dry_run, is_sure=is_sure, as_json=as_json))


@click.command(
    cls=ApiCommand,
    examples=(
        "rollcall redo 5889218372019237411 --dry-run",
        "rollcall redo 5889218372019237411 --yes",
    ),
    exit_status=_EXIT_STATUS,
)
@_options
def redo(job_id: str, *, dry_run: bool, is_sure: bool, as_json: bool, url: str) -> None:
    """Do the undone job JOB_ID again: it counts in its old place among the others."""
    with api(url) as client:
        _run(client, _REDO, job_id, _Options(dry_run=dry_run, is_sure=is_sure, as_json=as_json))


@click.command(
    cls=ApiCommand,
    examples=(
        "rollcall cancel 5889218372019237411",
        "rollcall cancel 5889218372019237411 --json | jq .state",
    ),
    exit_status={_INTERRUPTED: _EXIT_STATUS[_INTERRUPTED]},
)
@click.argument("job_id")
@call_options
def cancel(job_id: str, *, as_json: bool, url: str) -> None:
    """Cancel the job JOB_ID, which waits or runs: it is as if it had never been sent.

    It can't be done again; upload the file anew. A job that has ended is undone with
    `rollcall undo JOB_ID`.
    """
    with api(url) as client:
        _run(client, _CANCEL, job_id, _Options(dry_run=False, is_sure=True, as_json=as_json))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Options:
    """The options beside the job."""

    dry_run: bool
    is_sure: bool
    as_json: bool


def _run(client: ApiClient, change: _Change, job_id: str, options: _Options) -> None:
    if options.dry_run:
        _show(_preview(client, change, job_id), output(), options)
        return
    if not options.is_sure:
        _ask(client, change, job_id)
    _send(client, change, job_id)
    try:
        status = _followed(client, change, job_id)
    except KeyboardInterrupt:
        click.echo(f"Interrupted; it goes on: `rollcall status {job_id} --wait`.", err=True)
        sys.exit(_INTERRUPTED)
    if options.as_json:
        print_json(status)
    else:
        counts = JobCounts.of(status)
        print_counts(output(), job_id, counts)
        if counts.state == "REVERTED" and counts.deleted:
            print_line(
                output(),
                f"The {counts.deleted:,} users that it had removed are there again"
                ", as far as nothing later has removed them.",
            )


def _show(preview: dict[str, Any], console: Console, options: _Options) -> None:
    if options.as_json:
        print_json(preview)
    else:
        print_preview(console, preview)


def _ask(client: ApiClient, change: _Change, job_id: str) -> None:
    """Show what would happen and asks; on standard error, so that --json prints JSON only."""
    if not sys.stdin.isatty():
        message = f"nobody can be asked here: look with --dry-run, then {change.name} with --yes"
        raise CommandError(message)
    print_preview(progress_console(), _preview(client, change, job_id))
    if not click.confirm(change.question.format(job_id=job_id), err=True):
        sys.exit(1)


def _preview(client: ApiClient, change: _Change, job_id: str) -> dict[str, Any]:
    """Ask for the preview until it is ready, and return it."""
    policy = RetryPolicy(for_s=_RETRY_FOR_S, longest_delay_s=2.0)
    begun_s = time.monotonic()
    with reported(progress_console(), "Preview") as progress:
        while True:
            answer = with_retries(
                lambda: client.post(change.path(job_id), {"dryRun": True}), policy
            )
            if answer.get("dryRun") is not True:
                raise ApiError(f"the server knows no dry runs: {answer.get('message')}")
            if "state" not in answer:
                return answer
            done, total = answer["recordsDone"], answer["recordsTotal"]
            progress.show(done, total, share_text(done, total, "records", begun_s=begun_s))
            time.sleep(_ASK_AGAIN_S)


def _send(client: ApiClient, change: _Change, job_id: str) -> None:
    """Return once the log has it; a broken connection is no harm, as it has a key."""
    headers = {"Idempotency-Key": str(uuid.uuid4())}
    console = progress_console()

    def report(error: ApiError, delay_s: float) -> None:
        print_line(console, f"{error}; trying again in {delay_s:g} s")

    try:
        with_retries(
            lambda: client.request("POST", change.path(job_id), headers=headers),
            RetryPolicy(for_s=_RETRY_FOR_S, report=report),
        )
    except ApiError as error:
        if not is_passing(error):
            raise
        message = f"{error}\n  Look at `rollcall status {job_id}` before you try it again."
        raise CommandError(message) from error


def _followed(client: ApiClient, change: _Change, job_id: str) -> dict[str, Any]:
    """Return the job's status once every reader sees the other audience."""
    status: dict[str, Any] = {}
    console = progress_console()
    with reported(console, change.doing) as progress:
        statuses = follow(client, job_id, change.is_last)
        for status in with_failures_printed(statuses, console):
            progress.show(0, 0, status["state"])
    return status
