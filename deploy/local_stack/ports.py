"""Chooses free TCP ports on the loopback address, and keeps them across restarts."""

import json
import random
import socket
from pathlib import Path

HOST = "127.0.0.1"

_RANGE = range(20_000, 32_000)
"""Below the ports that Linux and macOS hand out to outgoing connections: a port that a stopped
broker is about to take again must not be taken by somebody's client meanwhile."""


def keep_or_choose_ports(path: Path, count: int) -> list[int]:
    """Return the ports recorded in `path` while all are free, else record new ones.

    A port stays the same across restarts, so that clients find the broker again.
    """
    try:
        ports: list[int] = json.loads(path.read_text())
    except FileNotFoundError:
        ports = []
    if len(ports) == count and all(is_free(port) for port in ports):
        return ports
    ports = free_ports(count)
    path.write_text(json.dumps(ports))
    return ports


def free_ports(count: int) -> list[int]:
    """Different ports that nobody listens on."""
    ports: list[int] = []
    for port in random.sample(_RANGE, len(_RANGE)):
        if is_free(port):
            ports.append(port)
        if len(ports) == count:
            return ports
    raise OSError(f"no free port on {HOST} from {_RANGE.start} to {_RANGE.stop}")


def is_free(port: int) -> bool:
    """True where a server could listen on the port now."""
    with socket.socket() as probe:
        # A port in TIME_WAIT is free for a server, which sets this too.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True
