"""A history of jobs, changes, other producers and faults from one seed, and the verdict on it."""

from __future__ import annotations

import itertools
import random
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Final

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
from tests.support.chaos.crew import Crew
from tests.support.chaos.faults import SORTS, Breaking
from tests.support.chaos.moves import Moves
from tests.support.chaos.observations import Observations
from tests.support.chaos.single_writes import write_users
from tests.support.clients.client import Client
from tests.support.clients.projections import BUILD_TIMEOUT_S, assert_proven
from tests.support.data.log_reading import accepted_jobs
from tests.support.models.log_verdict import assert_as_logged
from tests.support.models.verdict import select
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from concurrent.futures import Future
    from pathlib import Path

    from deploy.local_stack.kafka import KafkaServer
    from deploy.local_stack.postgres import PostgresServer
    from tests.support.chaos.clients import Act
    from tests.support.chaos.proxy import Proxy
    from tests.support.chaos.report import Report
    from tests.support.models.log_model import LogModel
    from tests.support.servers.surroundings import Ground

_UPLOADERS: Final = 3
_WRITERS: Final = 2


@dataclass(frozen=True, slots=True)
class Chaos:
    """Where a history takes place; ``folder`` keeps its logs."""

    env: Ground
    folder: Path
    servers: Mapping[str, KafkaServer | PostgresServer]
    proxies: Mapping[str, Proxy] = field(default_factory=dict[str, "Proxy"])
    """The ways to the servers that may be broken."""
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
        crew = Crew(self.env.environ, self.folder)
        try:
            self._wait_ready(crew)
            self._run(crew, report, duration_s)
        finally:
            crew.close()
            (self.folder / "history.txt").write_text(
                "\n".join([f"seed {report.seed}", *report.events])
            )

    def _wait_ready(self, crew: Crew) -> None:
        for url in crew.urls:
            with Client(url, self.env.password) as client:

                def is_ready(client: Client = client) -> bool:
                    crew.assert_running()
                    return client.is_ready()

                wait_until(is_ready, TIMEOUT_S, saying=f"{url} is ready")

    def _run(self, crew: Crew, report: Report, duration_s: float) -> None:
        scene = Scene(self.env, crew.urls, report, Observations())
        report.seconds = duration_s
        others = OtherProducers(self.env)
        acts: list[tuple[Act, float]] = [
            *itertools.repeat((upload_or_change, 1.0), _UPLOADERS),
            *itertools.repeat((write_users, 0.3), _WRITERS),
            (Readers(), 0.1),
            (watch_job, 1.0),
            (others, 1.0),
            (rebuild, 5.0),
        ]
        end_s = time.monotonic() + duration_s
        breaking = Breaking(
            crew,
            self.servers,
            self.proxies,
            report=report,
            over=scene.over,
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
                breaking.break_servers(_chance(report, "servers"), faults, wait)
            finally:
                scene.over.set()
            for each in working:
                each.result(TIMEOUT_S)
        others.close()
        self._wait_ready(crew)
        self._judge(crew, scene)

    def _judge(self, crew: Crew, scene: Scene) -> None:
        model = assert_as_logged(self.env, scene.files)
        crew.assert_running()
        wait_until(
            lambda: not select(self.env, AT_WORK), BUILD_TIMEOUT_S, saying="no build is at work"
        )
        assert_proven(self.env)
        assert set(scene.answered) == {job.job_id for job in accepted_jobs(self.env.settings)}
        scene.seen.assert_kept()
        _count(scene, model)
        if self.has_moves:
            Moves(self.env, crew, scene.report).run(_chance(scene.report, "moves"))


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
