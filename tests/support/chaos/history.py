"""A history of jobs, changes, other producers and faults from one seed, and the verdict on it."""

from __future__ import annotations

import contextlib
import math
import random
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Final, Protocol

from tests.support.chaos.calm import Calm
from tests.support.chaos.clients import (
    AT_WORK,
    TIMEOUT_S,
    Doors,
    OtherProducers,
    Readers,
    Scene,
    rebuild,
    upload_or_change,
    watch_job,
)
from tests.support.chaos.crew import API, BUILDER, COUNTS, PROCESSOR, PUBLISHER, Crew
from tests.support.chaos.faults import SORTS, Breaking
from tests.support.chaos.moves import Moves
from tests.support.chaos.observations import Observations
from tests.support.chaos.report import ALWAYS, Report
from tests.support.chaos.single_writes import write_users
from tests.support.clients.client import Client
from tests.support.clients.projections import BUILD_TIMEOUT_S, assert_proven
from tests.support.data.log_reading import accepted_jobs
from tests.support.models.log_verdict import assert_as_logged
from tests.support.models.verdict import select
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Generator, Mapping, Sequence
    from concurrent.futures import Future
    from pathlib import Path

    from deploy.local_stack.kafka import KafkaServer
    from deploy.local_stack.postgres import PostgresServer
    from tests.support.chaos.clients import Act
    from tests.support.chaos.proxy import Proxy
    from tests.support.models.log_model import LogModel
    from tests.support.servers.surroundings import Ground


@dataclass(frozen=True, slots=True)
class Size:
    """How much is there, and how much is asked of it."""

    counts: Mapping[str, int]
    """Of processes of each kind."""
    clients: Sequence[tuple[Callable[[], Act], float]]
    """How each is made, and the longest pause between two of its acts."""
    most_rows: int
    """Of a file."""
    others_pause_s: float = 1.0
    """The longest between two groups of events of other producers."""


WHOLE: Final = Size(
    COUNTS,
    [
        *[(lambda: upload_or_change, 2.0)] * 3,
        *[(lambda: write_users, 0.6)] * 2,
        (Readers, 0.3),
        (lambda: watch_job, 1.0),
        (lambda: rebuild, 5.0),
    ],
    most_rows=3000,
)
SMALL: Final = Size(
    {API: 1, PUBLISHER: 1, PROCESSOR: 2, BUILDER: 1},
    [
        *[(lambda: upload_or_change, 1.0)] * 2,
        (lambda: write_users, 0.6),
        (lambda: rebuild, 2.0),
    ],
    most_rows=30,
)
REBUILT: Final = Size(
    {API: 1, PUBLISHER: 1, PROCESSOR: 1, BUILDER: 1},
    [
        (lambda: upload_or_change, 30.0),
        (lambda: write_users, 10.0),
        (lambda: rebuild, 0.3),
    ],
    most_rows=30,
    others_pause_s=60.0,
)
"""Its log hardly grows, so that its tables are built anew in seconds, again and again."""


class Beside(Protocol):
    """A smaller history on servers that are shared with another."""

    def run_beside(self, report: Report, calm: Calm) -> None:
        """Run it until the other is judged, and to its own end."""
        ...


@dataclass(frozen=True, slots=True)
class Chaos:
    """Where a history takes place; ``folder`` keeps its logs."""

    env: Ground
    folder: Path
    servers: Mapping[str, KafkaServer | PostgresServer]
    proxies: Mapping[str, Proxy] = field(default_factory=dict[str, "Proxy"])
    """The ways to the servers that may be broken."""
    disks: Mapping[str, Path] = field(default_factory=dict[str, "Path"])
    """The servers' disks that may be full."""
    size: Size = WHOLE
    beside: Sequence[Beside] = ()
    has_moves: bool = False
    """Whether the log is moved at the end, by commands that are killed on the way."""
    pause_s: float = 3.0
    """The longest between two faults of each thread."""
    sorts: Collection[str] = SORTS
    """What faults are of."""

    def run(self, report: Report, duration_s: float) -> None:
        """Upload and break things for a while, as the report's seed has it, and let all heal.

        Live tables, tables built anew, the model and what clients saw must agree.
        """
        with _run_beside(self.beside, report) as calm:
            self._run(report, duration_s, calm)

    def run_beside(self, report: Report, calm: Calm) -> None:
        """The same, on servers that another history breaks, until that is judged."""
        self._run(report, math.inf, calm)

    def _run(self, report: Report, duration_s: float, calm: Calm) -> None:
        crew = Crew(self.env.environ, self.folder, self.size.counts)
        try:
            self._wait_ready(crew)
            scene = Scene(
                self.env, crew.urls, report, Observations(), most_rows=self.size.most_rows
            )
            self._break(crew, scene, duration_s, calm)
            if not calm.is_given_up.is_set():
                self._judge(crew, scene, calm)
        finally:
            crew.close()
            report.write(self.folder)

    def _wait_ready(self, crew: Crew) -> None:
        for url in crew.urls:
            with Client(url, self.env.password) as client:

                def is_ready(client: Client = client) -> bool:
                    crew.assert_running()
                    return client.is_ready()

                wait_until(is_ready, TIMEOUT_S, saying=f"{url} is ready")

    def _break(self, crew: Crew, scene: Scene, duration_s: float, calm: Calm) -> None:
        report, others = scene.report, OtherProducers(self.env)
        acts = [(make(), pause_s) for make, pause_s in self.size.clients] + [
            (others, self.size.others_pause_s)
        ]
        end_s = time.monotonic() + duration_s
        breaking = Breaking(
            crew,
            self.servers,
            self.proxies,
            self.disks,
            report=report,
            over=scene.over if self.servers else calm.is_judged,
            deadline_s=end_s,
            pause_s=self.pause_s,
            sorts=self.sorts,
        )
        faults = breaking.others()
        with ThreadPoolExecutor(len(acts) + len(faults)) as pool:
            working = [
                pool.submit(Doors(scene, _chance(report, f"client {n}")).repeat, act, pause_s)
                for n, (act, pause_s) in enumerate(acts)
            ]
            working += [
                pool.submit(breaking.repeat, fault, _chance(report, f"fault {n}"))
                for n, fault in enumerate(faults)
            ]
            try:
                # In this thread: the kernel ends a server with the thread that has started it.
                wait = partial(_wait_recovered, report, crew, working)
                if self.servers:
                    breaking.break_servers(_chance(report, "servers"), faults, wait)
                else:
                    report.storm(ALWAYS)
                    calm.is_judged.wait()
                    report.mended()
                    if not calm.is_given_up.is_set():
                        wait()
            finally:
                scene.over.set()
            for each in working:
                each.result(TIMEOUT_S)
        calm.is_there.set()
        others.close()
        self._wait_ready(crew)

    def _judge(self, crew: Crew, scene: Scene, calm: Calm) -> None:
        judge(self.env, scene)
        crew.assert_running()
        calm.is_judged.set()
        if self.has_moves:
            rng = _chance(scene.report, "moves")
            Moves(self.env, crew, scene.report, rng, kills=1).run()


def judge(env: Ground, scene: Scene) -> None:
    """Fail unless tables, log, model and what clients saw agree; a builder must be running.

    What there was is counted in the scene's report.
    """
    model = assert_as_logged(env, scene.files)
    wait_until(lambda: not select(env, AT_WORK), BUILD_TIMEOUT_S, saying="no build is at work")
    assert_proven(env)
    assert set(scene.answered) == {job.job_id for job in accepted_jobs(env.settings)}
    scene.seen.assert_kept()
    _count(scene, model)


@contextlib.contextmanager
def _run_beside(beside: Sequence[Beside], report: Report) -> Generator[Calm]:
    """Smaller histories are run meanwhile; what happened in them is added to the report.

    Raises:
        Exception: what one of them has found.
    """
    calm = Calm()
    reports = [
        Report(f"{report.seed}, beside {number}", hits=report.hits)
        for number, _ in enumerate(beside, 1)
    ]
    with ThreadPoolExecutor(len(beside) or 1) as pool:
        try:
            running = [
                pool.submit(each.run_beside, its, calm)
                for each, its in zip(beside, reports, strict=True)
            ]
            yield calm
            for each, its in zip(running, reports, strict=True):
                each.result()
                report.add(its)
        except BaseException:
            calm.is_given_up.set()
            raise
        finally:
            calm.is_there.set()
            calm.is_judged.set()


def _wait_recovered(report: Report, crew: Crew, working: Sequence[Future[None]]) -> None:
    """Wait until all has recovered.

    Raises:
        TimeoutError: it has not.
        Exception: what one of those who work has found, or of a process that has ended by itself.
    """

    def is_recovered() -> bool:
        crew.assert_running()
        for each in working:
            if each.done():
                each.result()
        return report.is_recovered

    wait_until(is_recovered, TIMEOUT_S, saying="a user is added once all is mended")


def _chance(report: Report, of: str) -> random.Random:
    return random.Random(f"{of} {report.seed}")


def _count(scene: Scene, model: LogModel) -> None:
    report = scene.report
    report.histories = 1
    report.reads = scene.seen.reads
    report.jobs = len(model.jobs)
    report.rows = sum(sum(job.outcome.counts) for job in model.jobs.values())
    report.undone = sum(job.outcome.is_reverted for job in model.jobs.values())
    report.others = sum(sum(tally.counts.values()) for tally in model.sources.values())
