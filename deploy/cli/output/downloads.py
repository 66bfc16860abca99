"""Downloads of answers of any size to a file or to standard output, with a counter."""

import contextlib
import sys
import tempfile
import time
from collections.abc import Generator, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from rich.console import Console

from deploy.api_client.client import ApiClient, Incoming
from deploy.api_client.retry import RetryPolicy, with_retries
from deploy.cli.command_error import CommandError
from deploy.cli.output.progress import ProgressReport, reported, share_text
from deploy.cli.output.tables import print_line

STDOUT = Path("-")


@dataclass(frozen=True, slots=True, kw_only=True)
class Download:
    """What to download: path, query and media type; ``noun`` is what it holds, in plural.

    ``has_lines``: each of them, or of their parts, is a line.
    """

    path: str
    media_type: str
    noun: str
    query: Mapping[str, Any] = field(default_factory=dict[str, Any])
    has_lines: bool = True


def download_to(
    target: Path, client: ApiClient, wanted: Download, policy: RetryPolicy, console: Console
) -> None:
    """Write it all to the file, which has its name only once it is whole; ``-`` is stdout.

    Raises:
        ApiError: It was refused, is not ready for as long as the policy says, or broke off.
        CommandError: The file cannot be written.
    """
    lines = 0
    with whole_file(target) as file, opened(client, wanted, policy, console) as answer:
        for piece in answer.pieces:
            lines += piece.count(b"\n")
            file.write(piece)
    if target != STDOUT:
        count = f"{lines:,} lines" if answer.total is None else f"{answer.total:,} {wanted.noun}"
        print_line(console, f"{count} are in {target}.")


@contextlib.contextmanager
def opened(
    client: ApiClient, wanted: Download, policy: RetryPolicy, console: Console
) -> Generator[Incoming]:
    """Yield the answer, which is read as it comes, and show how much has come.

    Raises:
        ApiError: It was refused, is not ready for as long as the policy says, or broke off.
    """
    with contextlib.ExitStack() as stack:

        def ask() -> Incoming:
            answer = client.stream(wanted.path, wanted.media_type, wanted.query)
            return stack.enter_context(answer)

        answer = with_retries(ask, policy)
        progress = stack.enter_context(reported(console, wanted.noun.capitalize()))
        yield Incoming(_counted(answer, wanted, progress), answer.total)


def _counted(answer: Incoming, wanted: Download, progress: ProgressReport) -> Iterator[bytes]:
    total = (answer.total or 0) if wanted.has_lines else 0
    begun_s, lines, received = time.monotonic(), 0, 0
    for piece in answer.pieces:
        received += len(piece)
        lines += piece.count(b"\n")
        told = f"{received / 1e6:,.1f} MB"
        if total:
            told = f"{share_text(lines, total, 'lines', begun_s=begun_s)}, {told}"
        elif wanted.has_lines:
            told = f"{lines:,} lines, {told}"
        progress.show(lines, total, told)
        yield piece


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
