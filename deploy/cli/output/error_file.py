"""Writes the rejected lines of a job to a file that can be corrected and imported again."""

import contextlib
import sys
import tempfile
from collections.abc import Generator
from pathlib import Path
from typing import IO

import click

from deploy.api_client.client import ApiClient, path_of
from deploy.cli.session import CommandError


def write_error_file(client: ApiClient, job_id: str, path: Path) -> None:
    """Write it all to `path`, or to standard output for `-`.

    Raises:
        ApiError: There is no such job, or the API could not be reached.
        CommandError: The file cannot be written.
    """
    with _whole_file(path) as file:
        client.download(path_of("batchinfo", "errors", job_id), "text/csv", file)
    if str(path) != "-":
        click.echo(f"The rejected lines are in {path}.", err=True)


@contextlib.contextmanager
def _whole_file(path: Path) -> Generator[IO[bytes]]:
    if str(path) == "-":
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    target = path.resolve()
    try:
        # A device or a named pipe is written to; only a file is put in the place of a file.
        is_file = target.is_file() or not target.exists()
        with _replacement(target) if is_file else target.open("wb") as file:
            yield file
    except BrokenPipeError:
        raise
    except OSError as error:
        message = f"{path} cannot be written: {error.strerror}"
        raise CommandError(message) from error


@contextlib.contextmanager
def _replacement(target: Path) -> Generator[IO[bytes]]:
    """Yield a file that takes the name once it is whole; after a failure nothing has changed."""
    prefix = f".{target.name}."
    with tempfile.NamedTemporaryFile(dir=target.parent, prefix=prefix, delete=False) as file:
        made = Path(file.name)
        try:
            yield file
            file.flush()
            made.replace(target)
        finally:
            made.unlink(missing_ok=True)
