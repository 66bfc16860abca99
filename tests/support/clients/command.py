"""A command of the operator, at work beside the services and with their settings."""

from __future__ import annotations

import contextlib
import os
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Final

from tests.support.checkout import CHECKOUT
from tests.support.servers.forked import fork

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping

    from tests.support.servers.forked import ForkedProcess

_TIMEOUT_S: Final = 240


@dataclass(frozen=True, slots=True)
class Command:
    """A running command; ``lines`` gives what it writes, to stdout and stderr, as it comes."""

    arguments: tuple[str, ...]
    process: ForkedProcess
    lines: IO[str]

    def ended(self) -> subprocess.CompletedProcess[str]:
        """Its exit code and what it has written, once it has ended."""
        written = self.lines.read()
        return subprocess.CompletedProcess(self.arguments, self.process.wait(_TIMEOUT_S), written)


@contextlib.contextmanager
def started(environ: Mapping[str, str], *arguments: str) -> Generator[Command]:
    """Run ``rollcall`` with these arguments; it is killed at the end, where it still runs."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder, "out")
        os.mkfifo(out)
        settings = {**environ, "PYTHONPATH": str(CHECKOUT)}
        process = fork("deploy", settings, out, arguments=arguments)
        with out.open(encoding="utf-8") as lines:  # waits until the command has opened it, too
            try:
                yield Command(arguments, process, lines)
            finally:
                process.kill()
                process.wait()


def ended(environ: Mapping[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run ``rollcall`` with these arguments to its end."""
    with started(environ, *arguments) as command:
        return command.ended()
