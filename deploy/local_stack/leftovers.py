"""Ends processes that a stack left running when its parent was killed.

The kernel ends our children with their parent on Linux only, and nowhere their own children.
So every process of a stack carries the token of its data folder in its environment. Postgres'
server processes overwrite theirs and leave the session of their parent; they are known by their
working directory, which is the database cluster.
"""

import signal
import time
from collections.abc import Collection, Iterable
from pathlib import Path

import psutil

from deploy.processes.child import TOKEN_VARIABLE

_ORDERLY_END_S = 10
_KILLED_END_S = 5


def end_leftovers(token: str | None, cluster: Path) -> list[int]:
    """Return the ids of the processes that were ended: all that carry `token` or work in `cluster`.

    None as `token` ends Postgres' processes only.
    Returns once they are gone: asked first, killed after ten seconds.
    """
    found = {p.pid: p for p in psutil.process_iter() if _is_ours(p, token, cluster)}
    for process in found.values():
        _ask_to_stop(process, found.keys())
    for process in _wait_ended(found.values(), _ORDERLY_END_S):
        process.kill()
    _wait_ended(found.values(), _KILLED_END_S)
    return list(found)


def has_ended(process: psutil.Process) -> bool:
    """True where the process runs no more; a zombie does not, whoever may never collect it."""
    try:
        return process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def _wait_ended(processes: Iterable[psutil.Process], timeout_s: float) -> list[psutil.Process]:
    deadline = time.monotonic() + timeout_s
    alive = list(processes)
    while alive := [process for process in alive if not has_ended(process)]:
        if time.monotonic() > deadline:
            break
        time.sleep(0.02)
    return alive


def _is_ours(process: psutil.Process, token: str | None, cluster: Path) -> bool:
    try:
        if token is not None and process.environ().get(TOKEN_VARIABLE) == token:
            return True
        return process.name() == "postgres" and Path(process.cwd()) == cluster
    except psutil.Error:  # it has ended, or belongs to somebody else
        return False


def _ask_to_stop(process: psutil.Process, found: Collection[int]) -> None:
    try:
        if process.name() != "postgres":
            process.terminate()
        elif process.ppid() not in found:
            # To Postgres' first process it means a fast shutdown, in which that one ends its
            # own children; to an orphan of a dead one, that its statement is cancelled.
            process.send_signal(signal.SIGINT)
    except psutil.NoSuchProcess:
        return
