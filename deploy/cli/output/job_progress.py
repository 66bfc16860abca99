"""Shows progress bars of an upload and of the job it becomes."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

from deploy.api_client.client import ApiClient, ApiError
from deploy.api_client.job import JobCounts, follow
from deploy.api_client.retry import RetryPolicy, with_retries
from deploy.api_client.upload import Upload
from deploy.cli.output.tables import plain, print_line

Send = Callable[[Callable[[int], object]], dict[str, Any]]
"""Sends an upload once, reports the bytes that went out, and returns the API's answer."""


def send_upload(upload: Upload, send: Send, console: Console, *, retry_for_s: float) -> Any:
    """Send the upload and return the response; `send` must be idempotent.

    Raises:
        ApiError: It was refused, or the API could not be reached for so long.
    """
    with _bars(console) as bars:
        task = bars.add_task(f"Upload {_shown(upload.name)}", total=upload.size_bytes)

        def attempt() -> dict[str, Any]:
            bars.reset(task)
            return send(lambda count: bars.advance(task, count))

        def report(error: ApiError, delay_s: float) -> None:
            print_line(console, f"{error}; trying again in {delay_s:g} s")

        return with_retries(attempt, RetryPolicy(for_s=retry_for_s, report=report))


def follow_job(client: ApiClient, job_id: str, name: str, console: Console) -> dict[str, Any]:
    """Show the job's progress until it has ended, and return its last status.

    Raises:
        ApiError: There is no such job, or the API could not be reached for a minute.
    """
    status: dict[str, Any] = {}
    with _bars(console) as bars:
        task = bars.add_task(f"Import {_shown(name)}", total=None)
        for status in with_failures_printed(follow(client, job_id), console):
            counts = JobCounts.of(status)
            bars.update(task, total=counts.total or None, completed=counts.done)
    return status


def with_failures_printed(
    statuses: Iterable[dict[str, Any]], console: Console
) -> Iterator[dict[str, Any]]:
    """Yield the statuses; print each failed try of an undo or redo once."""
    printed = 0
    for status in statuses:
        failure = status.get("undoFailure")
        if failure is None:
            printed = 0
        elif failure["failures"] != printed and failure["nextTryDate"] is not None:
            printed = failure["failures"]
            print_line(console, f"Try {printed} failed: {failure['reason']}")
            print_line(console, f"It is tried again at {failure['nextTryDate']}.")
        yield status


def _bars(console: Console) -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn())
    # In a log file a bar is noise.
    return Progress(*columns, TimeElapsedColumn(), console=console, disable=not console.is_terminal)


def _shown(name: str) -> str:
    return escape(plain(name))
