"""Faults that come by chance, in several threads; each is mended after a moment.

They come together for a while; then nothing is broken until all goes on, and then one thing alone,
so that it is known how long each keeps the others waiting.
"""

from __future__ import annotations

import contextlib
import signal
import time
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final

from tests.support.chaos import failpoints
from tests.support.chaos.crew import API, BUILDER, KINDS, NAMES, PROCESSOR, PUBLISHER
from tests.support.chaos.proxy import FAULTS
from tests.support.servers.breaking import frozen, restart

if TYPE_CHECKING:
    import random
    import threading
    from collections.abc import Callable, Collection, Mapping, Sequence
    from pathlib import Path

    from deploy.local_stack.kafka import KafkaServer
    from deploy.local_stack.postgres import PostgresServer
    from tests.support.chaos.crew import Crew, Post
    from tests.support.chaos.proxy import Proxy
    from tests.support.chaos.report import Report

SORTS: Final = ("processes", "failpoints", "ways", "servers")
"""What faults are of: a process at any moment or at a named point, a way to a server, a server."""
_FREEZES_S: Final = (0.5, 2, 8)
"""The last is past the groups' session time-out."""
_REACHED_WITHIN_S: Final = 8.0
_LOOK_S: Final = 0.02
_STORM_S: Final = 30.0
_RARELY: Final = 4
"""So many times the usual pause is between faults of the servers, at which everything waits."""
_WEIGHTS: Final[Mapping[str, int]] = {API: 1, PUBLISHER: 3, PROCESSOR: 4, BUILDER: 2}
"""So often each kind is chosen."""


@dataclass(frozen=True, slots=True)
class Breaking:
    """What can be broken, until when, and where that is noted."""

    crew: Crew
    servers: Mapping[str, KafkaServer | PostgresServer]
    proxies: Mapping[str, Proxy]
    report: Report
    over: threading.Event
    deadline_s: float
    pause_s: float
    """The longest between two faults of a thread."""
    sorts: Collection[str] = SORTS

    @property
    def is_over(self) -> bool:
        """Whether it is time to let all heal."""
        return self.over.is_set() or time.monotonic() > self.deadline_s

    def repeat(
        self, fault: Callable[[random.Random], None], rng: random.Random, lock: threading.Lock
    ) -> None:
        """Break something again and again, unless another holds the lock, until it is over."""
        while not self.is_over:
            time.sleep(rng.uniform(0.2, self.pause_s))
            with lock:
                if not self.is_over:
                    fault(rng)

    def break_servers(
        self, rng: random.Random, locks: Sequence[threading.Lock], wait: Callable[[], None]
    ) -> None:
        """Break servers while others break the rest, and then one thing alone, until it is over.

        Whoever holds none of the locks breaks nothing; ``wait`` returns when all has recovered.
        """
        while not self.is_over:
            self._storm(rng)
            with contextlib.ExitStack() as calm:
                for lock in locks:
                    calm.enter_context(lock)
                self.report.mended()
                wait()
                if not self.is_over:
                    rng.choice([*self._of_servers(), *self.others()])(rng)
                    self.report.mended()
                    wait()

    def _storm(self, rng: random.Random) -> None:
        self.report.storm()
        end_s = min(time.monotonic() + _STORM_S, self.deadline_s)
        while time.monotonic() < end_s:
            time.sleep(min(rng.uniform(0.2, _RARELY * self.pause_s), end_s - time.monotonic()))
            if time.monotonic() < end_s:
                for fault in self._of_servers():
                    fault(rng)

    def _of_servers(self) -> list[Callable[[random.Random], None]]:
        return [self.break_server] if "servers" in self.sorts else []

    def others(self) -> list[Callable[[random.Random], None]]:
        """What breaks processes and the ways to servers, each for a thread of its own."""
        faults = {
            "processes": [self.break_process],
            "failpoints": [partial(self.break_at_failpoint, kind) for kind in KINDS],
            "ways": [self.break_way] if self.proxies else [],
        }
        return [each for sort in SORTS if sort in self.sorts for each in faults.get(sort, ())]

    def break_process(self, rng: random.Random) -> None:
        """Kill, freeze or stop a process, or stop all of a kind one after another."""
        kind = rng.choices(list(_WEIGHTS), list(_WEIGHTS.values()))[0]
        posts = self.crew.posts[kind]
        match rng.choice(["killed", "killed", "frozen", "stopped", "restarted in turn"]):
            case "killed":
                self._during(f"{NAMES[kind]} killed", rng.choice(posts), lambda post: post.kill())
            case "frozen":
                seconds = rng.choice(_FREEZES_S)
                name, post = f"{NAMES[kind]} frozen", rng.choice(posts)
                self._during(name, post, lambda post: post.freeze(seconds))
            case "stopped":
                self._during(f"{NAMES[kind]} stopped", rng.choice(posts), lambda post: post.stop())
            case _:
                for post in posts:
                    self._during(f"{NAMES[kind]} restarted", post, lambda post: post.stop())

    def _during(self, fault: str, post: Post, act: Callable[[Post], None]) -> None:
        with post.lock:
            self.report.begin(fault)
            act(post)

    def break_at_failpoint(self, kind: str, rng: random.Random) -> None:
        """Let the first process of a kind that comes to some point die or stop there.

        Points that were hit least often come first.
        """
        hits = self.report.failpoints
        names = failpoints.names(kind)
        fewest = min(hits[name] for name in names)
        name = rng.choice([name for name in names if hits[name] <= fewest + 1])
        number = rng.choice([signal.SIGKILL, signal.SIGKILL, signal.SIGSTOP])
        pid = reached(self.crew.folder, name, number)
        post = None if pid is None else self.crew.post_of(kind, pid)
        if post is None:
            return
        fault = f"{NAMES[kind]} {'killed' if number == signal.SIGKILL else 'frozen'}"
        with post.lock:
            if post.service.pid != pid:
                return
            self.report.begin(fault, name)
            if number == signal.SIGKILL:
                post.replace_ended()
            else:
                time.sleep(rng.choice(_FREEZES_S))
                post.service.thaw()

    def break_server(self, rng: random.Random) -> None:
        """Kill a server, or freeze it for a while; belongs to the thread that has started it."""
        name, server = rng.choice(list(self.servers.items()))
        fault = f"{name.partition(' ')[0]} {rng.choice(['killed', 'frozen'])}"
        self.report.begin(fault)
        if fault.endswith("killed"):
            restart(server)
        else:
            with frozen(server.child.pid):
                time.sleep(rng.choice(_FREEZES_S))

    def break_way(self, rng: random.Random) -> None:
        """Break the way to one server for a while."""
        name, how = rng.choice(list(self.proxies)), rng.choice(FAULTS)
        fault = f"way to {name.partition(' ')[0]} {how}"
        self.report.begin(fault)
        with self.proxies[name].broken(how):
            time.sleep(rng.choice(_FREEZES_S))


def reached(folder: Path, name: str, number: int) -> int | None:
    """Arm a failpoint; return the id of the process that has come there, None if none has."""
    armed = failpoints.armed_file(folder, name)
    staged = armed.with_suffix(".new")
    staged.write_text(str(int(number)))
    staged.rename(armed)
    give_up_s = time.monotonic() + _REACHED_WITHIN_S
    while armed.exists():
        if time.monotonic() > give_up_s:
            with contextlib.suppress(FileNotFoundError):
                armed.unlink()
                return None
        time.sleep(_LOOK_S)
    noted = [file for file in folder.glob(f"{armed.name}.*") if file.suffix[1:].isdigit()]
    for file in noted:
        file.unlink(missing_ok=True)
    return int(noted[0].suffix[1:]) if noted else None
