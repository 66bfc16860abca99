"""Faults that come by chance, in several threads; each is mended after a moment.

They come together for a while; then nothing is broken until all goes on, and then one thing alone,
so that it is known how long each keeps the others waiting.
"""

from __future__ import annotations

import contextlib
import itertools
import signal
import threading
import time
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Final

from tests.support.chaos import clocks, failpoints
from tests.support.chaos.crew import API, BUILDER, KINDS, NAMES, PROCESSOR, PUBLISHER
from tests.support.chaos.proxy import FAULTS
from tests.support.disks.tmpfs import full
from tests.support.servers.breaking import frozen, go_on, restart

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Collection, Generator, Iterable, Mapping, Sequence
    from pathlib import Path

    from deploy.local_stack.kafka import KafkaServer
    from deploy.local_stack.postgres import PostgresServer
    from tests.support.chaos.crew import Crew, Post
    from tests.support.chaos.proxy import Proxy
    from tests.support.chaos.report import Report

_OF_SERVERS: Final = ("servers", "disks")
SORTS: Final = ("processes", "failpoints", "clocks", "ways", *_OF_SERVERS)
"""What faults are of: a process at any moment or at a named point, its clock, a way to a server,
the server itself, its disk."""
_FREEZES_S: Final = (0.5, 2, 8)
"""The last is past the groups' session time-out."""
_JUMPS_H: Final = (-30, -3, -0.1, 0.1, 3, 30)
_REACHED_WITHIN_S: Final = 8.0
_LOOK_S: Final = 0.02
_STORM_S: Final = 60.0
_SURROUNDINGS: Final = frozenset({"ways", *_OF_SERVERS})
"""Of every second storm they are no part: so that services come far enough to be hit anywhere."""
_AT_FAILPOINTS_S: Final = 0.3
"""The longest between two faults of a thread that waits for a process to come to a failpoint."""
_AHEAD: Final = 10
"""A point may be hit so much more often than the one that is hit least often."""
_RARELY: Final = 4
"""So many times the usual pause is between faults of the servers, at which everything waits."""
_WEIGHTS: Final[Mapping[str, int]] = {API: 1, PUBLISHER: 3, PROCESSOR: 4, BUILDER: 2}
"""So often each kind is chosen."""


@dataclass(frozen=True, slots=True)
class Fault:
    """Something that breaks and is mended, and the longest pause before it comes again.

    It is not begun while another holds the lock.
    """

    sort: str
    act: Callable[[random.Random], None]
    pause_s: float
    lock: threading.Lock = field(default_factory=threading.Lock)


@dataclass(frozen=True, slots=True)
class Breaking:
    """What can be broken, until when, and where that is noted."""

    crew: Crew
    servers: Mapping[str, KafkaServer | PostgresServer]
    proxies: Mapping[str, Proxy]
    disks: Mapping[str, Path]
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

    def repeat(self, fault: Fault, rng: random.Random) -> None:
        """Break something again and again, until it is over."""
        while not self.is_over:
            time.sleep(rng.uniform(0.2, fault.pause_s))
            with fault.lock:
                if not self.is_over:
                    fault.act(rng)

    def break_servers(
        self, rng: random.Random, others: Sequence[Fault], wait: Callable[[], None]
    ) -> None:
        """Break servers while others break the rest, and then one thing alone, until it is over.

        ``wait`` returns when all has recovered.
        """
        storms = itertools.cycle([SORTS, [sort for sort in SORTS if sort not in _SURROUNDINGS]])
        mine = [each for sort in _OF_SERVERS for each in self._faults_of(sort)]
        while not self.is_over:
            sorts = next(storms)
            with _held(fault for fault in others if fault.sort not in sorts):
                self._storm(rng, [fault for fault in mine if fault.sort in sorts])
            with _held(others):
                self.report.mended()
                wait()
                if not self.is_over:
                    self._alone(rng)
                    self.report.mended()
                    wait()

    def _alone(self, rng: random.Random) -> None:
        """Break one thing, of one sort as often as of another."""
        faults = [faults for sort in SORTS if (faults := self._faults_of(sort))]
        if faults:
            rng.choice(rng.choice(faults)).act(rng)

    def _storm(self, rng: random.Random, faults: Sequence[Fault]) -> None:
        self.report.storm()
        end_s = min(time.monotonic() + _STORM_S, self.deadline_s)
        while time.monotonic() < end_s:
            time.sleep(min(rng.uniform(0.2, _RARELY * self.pause_s), end_s - time.monotonic()))
            if faults and time.monotonic() < end_s:
                rng.choice(faults).act(rng)

    def others(self) -> list[Fault]:
        """What breaks processes and the ways to servers, each for a thread of its own."""
        sorts = [sort for sort in SORTS if sort not in _OF_SERVERS]
        return [fault for sort in sorts for fault in self._faults_of(sort)]

    def _faults_of(self, sort: str) -> list[Fault]:
        acts: Mapping[str, list[Callable[[random.Random], None]]] = {
            "processes": [self.break_process],
            "failpoints": [partial(self.break_at_failpoint, kind) for kind in KINDS],
            "clocks": [self.break_clock],
            "ways": [self.break_way] if self.proxies else [],
            "servers": [self.break_server] if self.servers else [],
            "disks": [self.fill_disk] if self.disks else [],
        }
        pause_s = self.pause_s if sort != "failpoints" else min(_AT_FAILPOINTS_S, self.pause_s)
        return [Fault(sort, act, pause_s) for act in acts[sort] if sort in self.sorts]

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
        """Let the first process of a kind that comes to a point hit least often die or stop there.

        They take turns in arriving: all that were hit least often are armed together. A kind all
        of whose points were hit far more often than another's is left alone, so that it goes on.
        """
        every = [name for each in KINDS for name in failpoints.names(each)]
        behind = {*self.report.least_hit(every, spread=_AHEAD)}
        names = behind.intersection(self.report.least_hit(failpoints.names(kind)))
        if not names:
            return
        number = rng.choice([*itertools.repeat(signal.SIGKILL, 4), signal.SIGSTOP])
        for name, pid in reached(self.crew.folder, names, number):
            if post := self.crew.post_of(kind, pid):
                self._broken_at(name, post, pid, number, rng.choice(_FREEZES_S))

    def _broken_at(self, name: str, post: Post, pid: int, number: int, freeze_s: float) -> None:
        fault = f"{NAMES[post.service.module]} {'killed' if number == signal.SIGKILL else 'frozen'}"
        with post.lock:
            if post.service.pid != pid:
                return
            self.report.begin(fault, name)
            if number == signal.SIGKILL:
                post.replace_ended()
            else:
                time.sleep(freeze_s)
                post.service.thaw()

    def break_clock(self, rng: random.Random) -> None:
        """Let a process' clock jump by hours, ahead or back, and back again after a while."""
        kind, hours = rng.choice(KINDS), rng.choice(_JUMPS_H)
        pid = rng.choice(self.crew.posts[kind]).service.pid
        self.report.begin(f"{NAMES[kind]}'s clock jumped")
        with clocks.off(self.crew.folder, pid, 3600 * hours):
            time.sleep(rng.choice(_FREEZES_S))

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

    def fill_disk(self, rng: random.Random) -> None:
        """Let a server have no room on its disk for a while; belongs to the same thread."""
        name, disk = rng.choice(list(self.disks.items()))
        self.report.begin(f"{name.partition(' ')[0]}'s disk full")
        with full(disk):
            time.sleep(rng.choice(_FREEZES_S))
        go_on(self.servers[name])

    def break_way(self, rng: random.Random) -> None:
        """Break the way to one server for a while."""
        name, how = rng.choice(list(self.proxies)), rng.choice(FAULTS)
        fault = f"way to {name.partition(' ')[0]} {how}"
        self.report.begin(fault)
        with self.proxies[name].broken(how):
            time.sleep(rng.choice(_FREEZES_S))


@contextlib.contextmanager
def _held(faults: Iterable[Fault]) -> Generator[None]:
    """None of these are begun as long as the context is open; what was begun is mended."""
    with contextlib.ExitStack() as locks:
        for fault in faults:
            locks.enter_context(fault.lock)
        yield


def reached(folder: Path, names: Collection[str], number: int) -> list[tuple[str, int]]:
    """Arm failpoints until a process has come to one, and disarm the others.

    Return the failpoint and the process' id: none where nobody came in time, and more where two
    came at once.
    """
    armed = {name: failpoints.armed_file(folder, name) for name in names}
    for file in armed.values():
        staged = file.with_suffix(".new")
        staged.write_text(str(int(number)))
        staged.rename(file)
    give_up_s = time.monotonic() + _REACHED_WITHIN_S
    while all(file.exists() for file in armed.values()) and time.monotonic() < give_up_s:
        time.sleep(_LOOK_S)
    return [(name, pid) for name, file in armed.items() for pid in _disarm(file)]


def _disarm(armed: Path) -> list[int]:
    """Take the file away; the id of the process that has done so before."""
    with contextlib.suppress(FileNotFoundError):
        armed.unlink()
        return []
    noted = [file for file in armed.parent.glob(f"{armed.name}.*") if file.suffix[1:].isdigit()]
    for file in noted:
        file.unlink(missing_ok=True)
    return [int(file.suffix[1:]) for file in noted[:1]]
