"""Progress bars of an upload and of the job it becomes."""

import time

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

from deploy.api_client import ApiClient, ApiError, JobCounts, Upload

_POLL_S = 0.2
_UNREACHABLE_S = 60.0
"""How long a job is followed through an API that does not answer; it may be starting again."""


def run_import(client: ApiClient, upload: Upload, console: Console) -> tuple[str, JobCounts]:
    """The id and the final counts of the job, once it has ended.

    Raises:
        ApiError: The upload was refused, or the API could not be reached for a minute.
    """
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn())
    with Progress(*columns, TimeElapsedColumn(), console=console) as progress:
        name = f"{upload.mode} {upload.path.name}"
        sending = progress.add_task(f"Upload {name}", total=upload.path.stat().st_size)
        job_id = client.upload(upload, lambda count: progress.advance(sending, count))
        working = progress.add_task(f"Import {name}", total=None)
        while not (counts := _counts(client, job_id)).has_ended:
            progress.update(working, total=counts.total or None, completed=counts.done)
            time.sleep(_POLL_S)
        progress.update(working, total=counts.total, completed=counts.done)
    return job_id, counts


def _counts(client: ApiClient, job_id: str) -> JobCounts:
    deadline_s = time.monotonic() + _UNREACHABLE_S
    while True:
        try:
            return client.counts(job_id)
        except ApiError:
            if time.monotonic() > deadline_s:
                raise
            time.sleep(1)
