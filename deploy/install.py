"""Makes the virtual environment of a checkout from its lock file.

The launcher `rollcall` runs this file with a bare interpreter, before anything is installed:
it imports the standard library only.
"""

import fcntl
import shutil
import subprocess
import sys
from pathlib import Path

STAMP = "rollcall.stamp"


def main(root: Path) -> None:
    """Leaves `root/.venv` complete, whoever else is making it at the same time.

    Blocks while another process installs.
    An install that was cut short is thrown away and done again from the start.

    Raises:
        SystemExit: The install failed; its own message is on stderr.
    """
    with (root / ".venv.lock").open("w") as lock:
        if not _try_lock(lock.fileno()):
            _say("another start is installing the dependencies; waiting for it …")
            fcntl.flock(lock, fcntl.LOCK_EX)
        if not is_complete(root):
            _install(root, lock_fd=lock.fileno())


def is_complete(root: Path) -> bool:
    """True where the environment was made from the lock file as it is now, in this folder."""
    try:
        stamp = (root / ".venv" / STAMP).read_text()
    except FileNotFoundError:
        return False
    return stamp == _stamp(root) and (root / ".venv" / "bin" / "python").exists()


def install_commands(root: Path, *, uv: str | None, python: str) -> list[list[str]]:
    """The commands that make the environment anew, in order."""
    venv, lock = str(root / ".venv"), str(root / "requirements.lock")
    target = f"{venv}/bin/python"
    if uv is not None:
        return [
            [uv, "venv", "--quiet", "--clear", "--no-project", "--python", python, venv],
            [uv, "pip", "sync", "--quiet", "--require-hashes", "--python", target, lock],
        ]
    pip = [target, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    return [
        [python, "-m", "venv", "--clear", venv],
        [*pip, "--require-hashes", "--no-deps", "-r", lock],
    ]


def _install(root: Path, *, lock_fd: int) -> None:
    uv = shutil.which("uv")
    _say(f"installing the locked dependencies into .venv with {'uv' if uv else 'pip'} …")
    for command in install_commands(root, uv=uv, python=sys.executable):
        # The child inherits the lock: where this process alone is killed, a second start
        # still waits until the orphaned installer has ended.
        result = subprocess.run(command, check=False, pass_fds=(lock_fd,))
        if result.returncode != 0:
            raise SystemExit(f"rollcall: could not install (status {result.returncode}): {command}")
    (root / ".venv" / STAMP).write_text(_stamp(root))


def _stamp(root: Path) -> str:
    return f"{(root / 'requirements.lock').read_text()}# {root}\n"


def _try_lock(lock_fd: int) -> bool:
    try:
        fcntl.flock(lock_fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _say(message: str) -> None:
    sys.stderr.write(f"rollcall: {message}\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
