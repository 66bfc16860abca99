"""An upgrade from an earlier version while imports run, and the way back.

``python -m tests.support.upgrade COMMIT`` (`just upgrade COMMIT`) runs the code of that commit with
the packages of this checkout, and puts this checkout's in its place as docs/deploy.md says.
Clients upload, write, read and undo all the time, processes are killed or stopped by chance, and
the publishers are killed with a job half published.
With a schema registry it goes back as well: an earlier version then reads what it doesn't know.
Where the tables are of another version there is no way back: ``--no-way-back``.
"""

from __future__ import annotations

import contextlib
import random
import subprocess
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from schemas.clients.event_schemas import EventSchemas
from schemas.events import JobOpened, JobSealed
from tests.support.chaos.clients import (
    Doors,
    OtherProducers,
    Readers,
    Scene,
    upload_or_change,
    watch_job,
)
from tests.support.chaos.crew import API, BUILDER, COUNTS, PROCESSOR, PUBLISHER, Post
from tests.support.chaos.history import judge
from tests.support.chaos.observations import Observations
from tests.support.chaos.report import Report
from tests.support.chaos.single_writes import write_users
from tests.support.checkout import CHECKOUT
from tests.support.clients.client import Client
from tests.support.clients.command import ended
from tests.support.data.files import tidy_csv
from tests.support.data.log_reading import control_events, end_of, read_topic
from tests.support.servers.registry_server import registry_server
from tests.support.servers.rig import publish_in_part
from tests.support.servers.services import Services, free_port
from tests.support.servers.surroundings import PARTITIONS, ground, own_servers
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from tests.support.chaos.clients import Act
    from tests.support.servers.services import Service
    from tests.support.servers.surroundings import Ground

_ORDER: Final = (PROCESSOR, BUILDER, PUBLISHER, API)
"""Of an upgrade; the way back is the reverse."""
_WHILE_S: Final = 10.0
"""So long all are of one version."""
_TIMEOUT_S: Final = 120
_LINES: Final = 60_000
_PUBLISHED: Final = 20_000
"""So many records come to the log before the publishers are killed, most of them those lines."""


@dataclass(slots=True)
class _Installation:
    """All processes, of which each kind may be of either version."""

    env: Ground
    rng: random.Random
    ports: list[int] = field(default_factory=lambda: [free_port() for _ in range(COUNTS[API])])
    posts: dict[str, list[Post]] = field(default_factory=dict[str, list[Post]])

    @property
    def urls(self) -> list[str]:
        """Of the API processes."""
        return [f"http://127.0.0.1:{port}" for port in self.ports]

    def start(self, services: Services) -> None:
        """Start all, of one version; ready on return."""
        for kind in COUNTS:
            self.posts[kind] = [Post(start, start()) for start in self._starts(kind, services)]
        for url in self.urls:
            with Client(url, self.env.password) as client:
                wait_until(client.is_ready, _TIMEOUT_S, saying=f"{url} is ready")

    def _starts(self, kind: str, services: Services) -> list[Callable[[], Service]]:
        """How each process of a kind is started."""
        if kind == API:
            return [partial(services.start, kind, port=str(port)) for port in self.ports]
        return [partial(services.start, kind)] * COUNTS[kind]

    def replace(self, kind: str, services: Services) -> None:
        """Put processes of the other version in the place of these, one after another."""
        for post, start in zip(self.posts[kind], self._starts(kind, services), strict=True):
            post.start = start
            self.rng.choice([post.kill, post.stop])()

    def replace_amid_a_job(self, services: Services, scene: Scene) -> None:
        """The same of the publishers, which are killed with a job half published."""
        publishers = self.posts[PUBLISHER]
        content = tidy_csv(range(_LINES), word=f"u{len(scene.files)}")
        scene.files.append(content)
        with Client(self.urls[0], self.env.password) as client:
            wait_until(client.is_ready, _TIMEOUT_S, saying="the API is ready")
            for post in publishers:
                post.service.freeze()
            job_id = client.submit(content, "upsert")
        scene.answered.append(job_id)
        before = end_of(self.env.settings, self.env.settings.topics.user_events)
        publish_in_part(self.env, [post.service for post in publishers], before + _PUBLISHED)
        for post in publishers:
            post.service.kill()
        assert self._is_half_published(job_id), "another job was published meanwhile"
        for post, start in zip(publishers, self._starts(PUBLISHER, services), strict=True):
            post.start, post.service = start, start()

    def _is_half_published(self, job_id: int) -> bool:
        _learn_ids(self.env)
        brackets = [event for events in control_events(self.env.settings) for event in events]
        seals = sum(isinstance(each, JobSealed) and each.job_id == job_id for each in brackets)
        is_opened = any(isinstance(each, JobOpened) and each.job_id == job_id for each in brackets)
        return is_opened and seals < PARTITIONS


def _history(env: Ground, earlier: Path, folder: Path, *, goes_back: bool) -> Report:
    """Go from the earlier version to this one, and back where that is asked for."""
    report = Report("upgrade")
    installation = _Installation(env, random.Random(report.seed))
    scene = Scene(env, installation.urls, report, Observations())
    for name in ("earlier", "this"):
        (folder / name).mkdir(parents=True)
    with (
        Services(env.environ, folder / "earlier", earlier) as before,
        Services(env.environ, folder / "this") as after,
    ):
        installation.start(before)
        with _clients(scene):
            for services in (after, before) if goes_back else (after,):
                time.sleep(_WHILE_S)
                if services is after:
                    assert ended(env.environ, "setup").returncode == 0
                for kind in _ORDER if services is after else reversed(_ORDER):
                    report.note(f"{kind} is replaced")
                    if kind == PUBLISHER:
                        installation.replace_amid_a_job(services, scene)
                    else:
                        installation.replace(kind, services)
            time.sleep(_WHILE_S)
        for each in (before, after):
            each.assert_running()
        _learn_ids(env)
        judge(env, scene)
    return report


def _learn_ids(env: Ground) -> None:
    """Let the models know the ids that are in the log."""
    schemas, topics = EventSchemas(env.settings.schema_registry), env.settings.topics
    for topic in (topics.job_events, topics.user_events, topics.job_status):
        for partition in read_topic(env.settings, topic):
            schemas.learn(record.value() for record in partition)


@contextlib.contextmanager
def _clients(scene: Scene) -> Generator[None]:
    """Clients at work as long as the context is open; what they found is raised at its end."""
    others = OtherProducers(scene.env)
    acts: list[Act] = [*[upload_or_change] * 2, write_users, Readers(), watch_job, others]
    with ThreadPoolExecutor(len(acts)) as pool:
        working = [
            pool.submit(Doors(scene, random.Random(number)).repeat, act, 0.5)
            for number, act in enumerate(acts)
        ]
        try:
            yield
        finally:
            scene.over.set()
        for each in working:
            each.result(_TIMEOUT_S)
    others.close()


def _told(report: Report) -> str:
    figures = f"{report.jobs} jobs, {report.rows} rows, {report.others} events of others"
    return f"{figures}, all as they should be"


def _git(*arguments: str) -> None:
    subprocess.run(["git", *arguments], check=True)  # noqa: S607 - whichever git is there


@click.command()
@click.argument("commit")
@click.option("--no-way-back", is_flag=True, help="The tables are of another version.")
def upgrade(commit: str, *, no_way_back: bool) -> None:
    """Go from the code of a COMMIT to this one while imports run, and back with a registry."""
    folder = Path(tempfile.mkdtemp(prefix="rollcall-upgrade-"))
    folder.chmod(0o755)
    earlier = folder / "checkout"
    _git("clone", "--quiet", str(CHECKOUT), str(earlier))
    _git("-C", str(earlier), "checkout", "--quiet", commit)
    click.echo(f"Logs are in {folder}")
    with own_servers() as servers:
        with ground(servers) as env:
            report = _history(env, earlier, folder / "forward", goes_back=False)
            click.echo(f"From {commit} to this checkout: {_told(report)}")
        if not no_way_back:
            with (
                registry_server() as registry,
                ground(servers, schema_registry_url=registry.url) as env,
            ):
                report = _history(env, earlier, folder / "back", goes_back=True)
                click.echo(f"And back again, with a schema registry: {_told(report)}")


if __name__ == "__main__":
    upgrade()
