"""The command line program, run as a user runs it."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.support.checkout import CHECKOUT
from tests.support.servers.forked import fork

if TYPE_CHECKING:
    from tests.support.servers.rig import Rig

TIMEOUT_S = 240
COMMAND = (sys.executable, "-P", "-m", "deploy")


@dataclass(frozen=True, slots=True)
class Shell:
    """Runs commands in the administrator's name, unless the environment says another."""

    rig: Rig
    folder: Path

    def file(self, content: bytes) -> str:
        """The path of a file to upload."""
        path = self.folder / "users.csv"
        path.write_bytes(content)
        return str(path)

    def run(self, *arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
        """The command, once it has ended."""
        with tempfile.TemporaryDirectory() as written:
            out, told = Path(written, "out"), Path(written, "told")
            process = fork("deploy", self.environ(environ), out, told=told, arguments=arguments)
            try:
                code = process.wait(TIMEOUT_S)
            finally:
                process.kill()
            return subprocess.CompletedProcess(arguments, code, out.read_text(), told.read_text())

    def json(self, *arguments: str, **environ: str) -> Any:
        """What the command prints as JSON; it must succeed."""
        done = self.run(*arguments, "--json", **environ)
        assert done.returncode == 0, done.stdout + done.stderr
        return json.loads(done.stdout)

    def start(self, *arguments: str, **environ: str) -> subprocess.Popen[str]:
        """The command, running."""
        return subprocess.Popen(
            [*COMMAND, *arguments],
            env=self.environ(environ),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def answered(self, answer: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        """The command, run on a terminal on which its question is answered, once it has ended."""
        ours, theirs = pty.openpty()
        try:
            with subprocess.Popen(
                [*COMMAND, *arguments],
                env=self.environ({}),
                stdin=theirs,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            ) as asking:
                os.write(ours, f"{answer}\n".encode())
                said, told = asking.communicate(timeout=TIMEOUT_S)
        finally:
            os.close(ours)
            os.close(theirs)
        return subprocess.CompletedProcess(arguments, asking.returncode, said, told)

    def environ(self, environ: dict[str, str]) -> dict[str, str]:
        """What a command sees."""
        kept = {name: value for name, value in os.environ.items() if "ROLLCALL" not in name}
        said = {
            "PYTHONPATH": str(CHECKOUT),
            "ROLLCALL_URL": self.rig.client.url,
            "ROLLCALL_USER": "admin",
            "ROLLCALL_PASSWORD": self.rig.env.password,
        }
        return kept | said | environ
