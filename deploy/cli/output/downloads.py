"""Downloads of answers of any size to a file or to standard output, with a counter."""

import contextlib
import sys
import tempfile
from collections.abc import Generator, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from deploy.api_client.client import ApiClient
from deploy.api_client.retry import RetryPolicy, with_retries
from deploy.cli.output.tables import print_line
from deploy.cli.session import CommandError

STDOUT = Path("-")


@dataclass(frozen=True, slots=True, kw_only=True)
class Download:
    """What to download: path, query and media type; ``noun`` is what its lines are, in plural."""

    path: str
    media_type: str
    noun: str
    query: Mapping[str, Any] = field(default_factory=dict[str, Any])


def download_to(
    target: Path, client: ApiClient, wanted: Download, policy: RetryPolicy, console: Console
) -> None:
    """Write it all to the file, which has its name only once it is whole; ``-`` is stdout.

    Raises:
        ApiError: It was refused, is not ready for as long as the policy lasts, or broke off.
        CommandError: The file cannot be written.
    """
    lines = 0
    with whole_file(target) as file:
        for piece in pieces(client, wanted, policy, console):
            lines += piece.count(b"\n")
            file.write(piece)
    if target != STDOUT:
        print_line(console, f"{lines:,} lines are in {target}.")


def pieces(
    client: ApiClient, wanted: Download, policy: RetryPolicy, console: Console
) -> Iterator[bytes]:
    """Yield the answer as it comes, and show how much has come.

    Raises:
        ApiError: It was refused, is not ready for as long as the policy lasts, or broke off.
    """
    with contextlib.ExitStack() as stack:
        answer = with_retries(
            lambda: stack.enter_context(
                client.stream(wanted.path, wanted.media_type, wanted.query)
            ),
            policy,
        )
        bar = stack.enter_context(_counter(console))
        task = bar.add_task(wanted.noun, total=answer.total, size="")
        received = 0
        for piece in answer.pieces:
            received += len(piece)
            bar.update(task, advance=piece.count(b"\n"), size=f"{received / 1e6:,.1f} MB")
            yield piece


def _counter(console: Console) -> Progress:
    columns = (
        TextColumn("{task.completed:,.0f} {task.description}"),
        BarColumn(),
        TextColumn("{task.fields[size]}"),
    )
    # In a log file a counter is noise.
    return Progress(*columns, TimeElapsedColumn(), console=console, disable=not console.is_terminal)


@contextlib.contextmanager
def whole_file(path: Path) -> Generator[IO[bytes]]:
    """Yield a file that takes the name once it is whole; standard output for ``-``.

    Raises:
        CommandError: The file cannot be written.
    """
    if path == STDOUT:
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
    """A file that takes the name once it is whole; after a failure nothing has changed."""
    prefix = f".{target.name}."
    with tempfile.NamedTemporaryFile(dir=target.parent, prefix=prefix, delete=False) as file:
        made = Path(file.name)
        try:
            yield file
            file.flush()
            made.replace(target)
        finally:
            made.unlink(missing_ok=True)
