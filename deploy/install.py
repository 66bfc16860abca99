"""Makes the virtual environment of a checkout from one of its lock files.

The launcher `rollcall` runs this file with a bare interpreter, before anything is installed:
it imports the standard library only.
"""

import fcntl
import os
import re
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterable
from pathlib import Path
from typing import IO

STAMP = "rollcall.stamp"
RUN_LOCK = "requirements.lock"
DEV_LOCK = "requirements-dev.lock"
"""All of RUN_LOCK, and what the tests and the gates need."""

_TELL_EVERY_S = 5.0
_SIZES = {RUN_LOCK: "500 MB", DEV_LOCK: "900 MB"}


def main(root: Path, lock: str = RUN_LOCK) -> None:
    """Leave `root/.venv` complete, whoever else is making it at the same time.

    Blocks while another process installs.
    An install that was cut short is thrown away and done again from the start.

    Raises:
        SystemExit: The install failed; its own message is on stderr.
    """
    with _lock_file(root) as file:
        if not _try_lock(file.fileno()):
            _say("another start is installing the dependencies; waiting for it …")
            fcntl.flock(file, fcntl.LOCK_EX)
        if not is_complete(root, lock):
            # Who developed here before goes on to, whatever command meets a changed lock first.
            was_for_dev = _read_stamp(root).endswith(f"/{DEV_LOCK}\n")
            _install(root, DEV_LOCK if was_for_dev else lock, lock_fd=file.fileno())


def _lock_file(root: Path) -> IO[str]:
    try:
        return (root / ".venv.lock").open("w")
    except OSError as error:
        message = f"rollcall: {root} can't be written ({error.strerror}): its owner runs it first"
        raise SystemExit(message) from error


def is_complete(root: Path, lock: str = RUN_LOCK) -> bool:
    """True where the environment holds all of the lock file as it is now, in this folder."""
    stamps = [_stamp(root, name) for name in {lock, DEV_LOCK}]
    return _read_stamp(root) in stamps and (root / ".venv" / "bin" / "python").exists()


def install_commands(root: Path, lock: str, *, uv: str | None, python: str) -> list[list[str]]:
    """Return the commands that make the environment anew, in order."""
    venv, path = str(root / ".venv"), str(root / lock)
    target = f"{venv}/bin/python"
    if uv is not None:
        return [
            [uv, "venv", "--quiet", "--clear", "--no-project", "--python", python, venv],
            [uv, "pip", "sync", "--require-hashes", "--python", target, path],
        ]
    return [
        [python, "-m", "venv", "--clear", venv],
        [*_pip(target), "--require-hashes", "--no-deps", "-r", path],
    ]


def _pip(python: str) -> list[str]:
    return [
        *(python, "-m", "pip", "install"),
        *("--progress-bar=off", "--disable-pip-version-check"),
    ]


def progress(output: Iterable[str], total: int) -> Iterable[str]:
    """Return a line for each package of pip's output; uv tells of itself, on stderr."""
    number = 0
    for line in output:
        doing, _, rest = line.partition(" ")
        if doing in {"Collecting", "Ignoring"}:  # what another system needs is ignored
            number += 1
            yield f"{number} of {total}: {rest.split()[0].rstrip(':')}"
        elif doing == "Installing":
            yield "unpacking all of them …"


def _install(root: Path, lock: str, *, lock_fd: int) -> None:
    uv = _find_uv()
    total = sum(line[:1].isalnum() for line in (root / lock).read_text().splitlines())
    _say(
        f"installing {total} packages into .venv with {'uv' if uv else 'pip'}:"
        f" about {_SIZES[lock]}, less than a minute to 3 minutes where they are to be fetched …"
    )
    if uv is not None:
        commands = install_commands(root, lock, uv=uv, python=sys.executable)
        if not all(_status(command, total, lock_fd) == 0 for command in commands):
            _say("uv could not install them; beginning again with pip")
            uv = None
    if uv is None:
        _install_with_pip(root, lock, total, lock_fd)
    (root / ".venv" / STAMP).write_text(_stamp(root, lock))


def _install_with_pip(root: Path, lock: str, total: int, lock_fd: int) -> None:
    """Install by pip, or by a uv that pip fetches, where that works."""
    make, sync = install_commands(root, lock, uv=None, python=sys.executable)
    _run(make, total, lock_fd)
    if fetched := _fetched_uv(root):
        _say("going on with uv, which takes a third of the time")
        faster = install_commands(root, lock, uv=fetched, python=sys.executable)[-1]
        if _status(faster, total, lock_fd) == 0:
            return
        _say("uv could not install them; going on with pip")
    _run(sync, total, lock_fd)


def _run(command: list[str], total: int, lock_fd: int) -> None:
    if status := _status(command, total, lock_fd):
        raise SystemExit(f"rollcall: could not install (status {status}): {command}")


def _status(command: list[str], total: int, lock_fd: int) -> int:
    """Run it, never silent for long, and return its exit status."""
    ended = threading.Event()
    threading.Thread(target=_tell_that_it_goes_on, args=(ended,), daemon=True).start()
    # The child inherits the lock: where this process alone is killed, a second start still waits
    # until the orphaned installer has ended.
    with subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        text=True,
        pass_fds=(lock_fd,),
        # As pip does, uv trusts the authorities that the system trusts.
        env={"UV_SYSTEM_CERTS": "true", **os.environ},
    ) as process:
        assert process.stdout is not None
        for line in progress(process.stdout, total):
            _say(line)
    ended.set()
    return process.returncode


def _tell_that_it_goes_on(ended: threading.Event) -> None:
    begun_s = time.monotonic()
    while not ended.wait(_TELL_EVERY_S):
        _say(f"still installing, {time.monotonic() - begun_s:.0f} s …")


def _fetched_uv(root: Path) -> str | None:
    """Install uv in the new environment, as the lock for development has it; None where it fails.

    It goes again with its first work: the lock for running does not have it.
    """
    entry = re.search(r"^uv==(?:.*\\\n)*.*\n", (root / DEV_LOCK).read_text(), re.MULTILINE)
    if entry is None:
        return None
    venv = root / ".venv"
    wanted = venv / "uv.txt"
    wanted.write_text(entry[0])
    command = [*_pip(f"{venv}/bin/python"), "--quiet", "--require-hashes", "-r", str(wanted)]
    if subprocess.run(command, check=False, capture_output=True).returncode:
        return None
    uv = str(venv / "bin" / "uv")
    return uv if _runs(uv) else None


def _find_uv() -> str | None:
    """uv, where it is on the PATH and runs; pyenv leaves names there that do not."""
    uv = shutil.which("uv")
    return uv if uv is not None and _runs(uv) else None


def _runs(uv: str) -> bool:
    return not subprocess.run([uv, "--version"], check=False, capture_output=True).returncode


def _read_stamp(root: Path) -> str:
    try:
        return (root / ".venv" / STAMP).read_text()
    except FileNotFoundError:
        return ""


def _stamp(root: Path, lock: str) -> str:
    return f"{(root / lock).read_text()}# {root}/{lock}\n"


def _try_lock(lock_fd: int) -> bool:
    try:
        fcntl.flock(lock_fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _say(message: str) -> None:
    sys.stderr.write(f"rollcall: {message}\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
