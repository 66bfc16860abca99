"""Ends what a stack whose parent was killed has left running.

The kernel ends our children with their parent on Linux only, and nowhere their own children.
So every process of a stack carries the token of its data folder in its environment. Postgres'
server processes overwrite theirs and leave the session of their parent; they are known by their
working directory, which is the database cluster.
"""

import signal
from collections.abc import Collection
from pathlib import Path

import psutil

from deploy.child import TOKEN_VARIABLE

_ORDERLY_END_S = 10


def end_leftovers(token: str | None, cluster: Path) -> list[int]:
    """The ids of the processes that were ended: all that carry `token` or work in `cluster`.

    None as `token` ends Postgres' processes only.
    Returns once they are gone: asked first, killed after ten seconds.
    """
    found = {p.pid: p for p in psutil.process_iter() if _is_ours(p, token, cluster)}
    for process in found.values():
        _ask_to_stop(process, found.keys())
    _, alive = psutil.wait_procs(list(found.values()), timeout=_ORDERLY_END_S)
    for process in alive:
        process.kill()
    psutil.wait_procs(alive)
    return list(found)


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
