"""Shows progress bars of an upload and of the job it becomes."""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from rich.console import Console

from deploy.api_client.client import ApiClient, ApiError
from deploy.api_client.job import JobCounts, follow
from deploy.api_client.retry import RetryPolicy, with_retries
from deploy.api_client.upload import Upload
from deploy.cli.output.progress import rated_text, reported, share_text
from deploy.cli.output.tables import counted, print_line

Send = Callable[[Callable[[int], object]], dict[str, Any]]
"""Sends an upload once, reports the bytes that went out, and returns the API's answer."""


def send_upload(upload: Upload, send: Send, console: Console, *, retry_for_s: float) -> Any:
    """Send the upload and return the response; `send` must be idempotent.

    Raises:
        ApiError: It was refused, or the API could not be reached for so long.
    """
    with reported(console, f"Upload {upload.name}") as progress:

        def attempt() -> dict[str, Any]:
            begun_s, sent = time.monotonic(), 0

            def advance(count: int) -> None:
                nonlocal sent
                sent += count
                progress.show(sent, upload.size_bytes, _sent_text(sent, upload, begun_s))

            return send(advance)

        def report(error: ApiError, delay_s: float) -> None:
            print_line(console, f"{error}; trying again in {delay_s:g} s")

        return with_retries(attempt, RetryPolicy(for_s=retry_for_s, report=report))


def _sent_text(sent: int, upload: Upload, begun_s: float) -> str:
    if sent >= upload.size_bytes:
        return "sent; the server checks and keeps it"
    return share_text(sent // 1000, upload.size_bytes // 1000, "kB", begun_s=begun_s)


def follow_job(client: ApiClient, job_id: str, name: str, console: Console) -> dict[str, Any]:
    """Show the job's progress until it has ended, and return its last status.

    Raises:
        ApiError: There is no such job, or the API could not be reached for a minute.
    """
    status: dict[str, Any] = {}
    with reported(console, f"Import {name}") as progress:
        for status in with_failures_printed(follow(client, job_id), console):
            counts = JobCounts.of(status)
            progress.show(counts.done, counts.total, job_text(status))
    return status


def job_text(status: Mapping[str, Any]) -> str:
    """Return how far a job has come: lines, speed, time left, and rejected lines."""
    counts = JobCounts.of(status)
    if counts.state == "ACCEPTED":
        return f"{counted(counts.total, 'line')}, waiting for its turn"
    told = rated_text(counts.done, counts.total, "lines", status.get("rowsPerSecond"))
    return f"{told}, {counts.rejected:,} rejected" if counts.rejected else told


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
