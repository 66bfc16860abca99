"""A whole installation under test: the services, a client, and all files ever sent."""

from __future__ import annotations

import contextlib
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self

import httpx2
import psycopg

from tests.support.data.log_reading import end_of, end_reader
from tests.support.models.log_verdict import assert_as_logged
from tests.support.models.verdict import assert_as_modelled, select
from tests.support.servers.services import Services
from tests.support.servers.surroundings import ground
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Mapping, Sequence
    from pathlib import Path

    from tests.support.clients.client import Client, Json
    from tests.support.models.log_model import LogModel
    from tests.support.models.model import Model
    from tests.support.servers.services import Service
    from tests.support.servers.surroundings import Ground, Surroundings

READY_TIMEOUT_S = 120
JOB_TIMEOUT_S = 240
_TURN_S = 0.05


@dataclass(slots=True)
class Rig:
    """One API, one publisher and some processors; closing it closes the client only."""

    env: Ground
    services: Services
    api: Service
    client: Client
    publisher: Service
    processors: list[Service]
    files: list[bytes] = field(default_factory=list[bytes])

    @classmethod
    def start(cls, env: Ground, services: Services, *, processors: int = 1) -> Self:
        """Start everything; ready on return."""
        publisher = services.publisher()
        workers = [services.processor() for _ in range(processors)]
        api, client = services.api()
        rig = cls(env, services, api, client, publisher, workers)
        try:
            rig.wait_ready()
        except BaseException:
            rig.close()
            raise
        return rig

    def wait_ready(self) -> None:
        """Return once an upload would be taken and processed; every service goes on meanwhile."""

        def is_ready() -> bool:
            self.services.assert_running()
            return self.client.is_ready()

        try:
            wait_until(is_ready, READY_TIMEOUT_S, saying="the services are ready")
        except TimeoutError as error:
            error.add_note(self.client.readiness())
            for service in self.services.started:
                error.add_note(f"log of {service.name}:\n{service.log_end()}")
            raise

    def close(self) -> None:
        """Close the client."""
        self.client.close()

    def submit(
        self, content: bytes, mode: str = "insert", *, headers: Mapping[str, str] | None = None
    ) -> int:
        """Upload a file, which must be taken; the job's id."""
        self.files.append(content)
        return self.client.submit(content, mode, headers=headers)

    def run(self, content: bytes, mode: str = "insert") -> Json:
        """Upload a file; its last status, once the job has ended."""
        return self.wait_ended(self.submit(content, mode))

    def wait_ended(self, job_id: int, timeout_s: float = JOB_TIMEOUT_S) -> Json:
        """The last status of the job; every service goes on meanwhile."""

        def has_ended() -> bool:
            self.services.assert_running()
            return self.client.is_ended(job_id)

        wait_until(has_ended, timeout_s, saying=f"job {job_id} has ended")
        return self.client.status(job_id)

    def restart_api(self) -> None:
        """Start the API again, on the same port, after it was killed or has ended."""
        port = httpx2.URL(self.client.url).port
        self.client.close()
        self.api, self.client = self.services.api(port)
        self.wait_ready()

    def restart_publisher(self) -> None:
        """Start a publisher after the one before was killed or has ended."""
        self.publisher = self.services.publisher()

    def restart_processor(self, number: int = 0) -> None:
        """Start a processor after the one before was killed or has ended."""
        self.processors[number] = self.services.processor()

    def published(self) -> int:
        """How many records user-events holds."""
        return end_of(self.env.settings, self.env.settings.topics.user_events)

    def projected(self) -> int:
        """How many lines have their outcome, of all jobs."""
        query = "SELECT sum(inserted + updated + unchanged + rejected)::bigint AS n FROM jobs"
        try:
            return select(self.env, query)[0]["n"] or 0
        except psycopg.errors.UndefinedTable:
            return 0

    def wait_published(self, records: int) -> None:
        """Return once user-events holds so many records."""
        with end_reader(self.env.settings, self.env.settings.topics.user_events) as end:
            _wait_exactly(lambda: end() >= records, f"{records} are published")

    def publish_in_part(self, records: int) -> None:
        """Let the publisher work in turns until there are so many; it is frozen on return.

        However slow the test itself is, most of a job of many more is still to come.
        """
        publish_in_part(self.env, [self.publisher], records)

    def wait_projected(self, lines: int) -> None:
        """Return once so many lines have their outcome."""
        _wait_exactly(lambda: self.projected() >= lines, f"{lines} are projected")

    def assert_as_modelled(self) -> Model:
        """Fail unless tables and log are as the jobs, one after another, make them."""
        model = assert_as_modelled(self.env, self.files)
        self.services.assert_running()
        return model

    def assert_as_logged(self) -> LogModel:
        """Fail unless they are as all of the log makes them, other producers' events too."""
        model = assert_as_logged(self.env, self.files)
        self.services.assert_running()
        return model


def publish_in_part(env: Ground, publishers: Sequence[Service], records: int) -> None:
    """The same of all publishers that there are."""
    with end_reader(env.settings, env.settings.topics.user_events) as end:
        for each in publishers:
            each.freeze()
        while end() < records:
            for each in publishers:
                each.thaw()
            time.sleep(_TURN_S)
            for each in publishers:
                each.freeze()


def _wait_exactly(is_there: Callable[[], bool], saying: str) -> None:
    """Return soon after it is: what is broken in the middle of a job is broken before its end."""
    wait_until(is_there, JOB_TIMEOUT_S, saying=saying, every_s=0.01)


@contextlib.contextmanager
def installation(of: Surroundings, logs: Path, **settings: str) -> Generator[Rig]:
    """A whole installation on a database of its own, for many tests; ready.

    ``settings`` are those of :func:`ground`.
    """
    with ground(of, **settings) as made, Services(made.environ, logs) as services:
        started = Rig.start(made, services)
        try:
            yield started
        finally:
            started.close()


class Reader:
    """Reads ``count(*)`` of users without pause, in a thread of its own; a context manager.

    ``counts`` holds what it saw, with repeats left out.
    """

    def __init__(self, env: Ground) -> None:
        self.counts: list[int] = []
        self._env = env
        self._should_stop = threading.Event()
        self._thread = threading.Thread(target=self._read)
        self._failure: BaseException | None = None

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._should_stop.set()
        self._thread.join()
        if self._failure:
            raise self._failure

    def _read(self) -> None:
        try:
            with psycopg.connect(self._env.conninfo, autocommit=True) as connection:
                while not self._should_stop.is_set():
                    row = connection.execute("SELECT count(*) FROM users").fetchone()
                    assert row is not None
                    if self.counts[-1:] != [row[0]]:
                        self.counts.append(row[0])
        except BaseException as error:  # noqa: BLE001 - raised again in the test's thread
            self._failure = error
