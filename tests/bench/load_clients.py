"""The clients of `./rollcall bench load`: each asks again and again until all are told to stop."""

import http.client
import itertools
import json
import random
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from tests.bench.client import Client, RefusedError

TOO_MANY: Final = 429
_BACK_OFF_S: Final = 1.0


@dataclass(slots=True)
class Answers:
    """What all clients were told: milliseconds of each success by kind, refusals and errors."""

    ms: defaultdict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    too_many: Counter[str] = field(default_factory=Counter[str])
    errors: list[str] = field(default_factory=list[str])
    jobs: dict[str, int] = field(default_factory=dict[str, int])
    """The lines of each file that was taken, by its job."""
    users: list[str] = field(default_factory=list[str])
    """The emails of users whose creation was answered."""


class Load:
    """Clients of all kinds, each a thread that opens a connection for each request."""

    def __init__(self, connect: Callable[[], Client], files: Sequence[tuple[Path, int]]) -> None:
        """``files`` are what is uploaded, each with its lines."""
        self.answers = Answers()
        self._connect = connect
        self._files = files
        self._stopped = threading.Event()
        self._numbers = itertools.count()
        self._threads: list[threading.Thread] = []

    def start(self, counts: dict[str, int]) -> None:
        """Start so many clients of each kind."""
        kinds = {
            "upload": self._upload,
            "status": self._read_status,
            "users": self._read_users,
            "stream": self._follow,
            "create": self._create,
        }
        for kind, count in counts.items():
            for _ in range(count):
                arguments = (kind, kinds[kind], random.Random(next(self._numbers)))
                self._threads.append(threading.Thread(target=self._run, args=arguments))
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Return once every client has had its last answer."""
        self._stopped.set()
        for thread in self._threads:
            thread.join()

    def _run(
        self, kind: str, ask: Callable[[Client, random.Random], float], rng: random.Random
    ) -> None:
        while not self._stopped.wait(self._ask(kind, ask, rng)):
            pass

    def _ask(
        self, kind: str, ask: Callable[[Client, random.Random], float], rng: random.Random
    ) -> float:
        """Return how long the client waits before it asks again."""
        with closing(self._connect()) as client:
            begin = time.perf_counter()
            try:
                pause_s = ask(client, rng)
            except RefusedError as error:
                if error.status == TOO_MANY:
                    self.answers.too_many[kind] += 1
                else:
                    self.answers.errors.append(f"{kind}: {error}")
                return _BACK_OFF_S
            except (OSError, http.client.HTTPException) as error:
                self.answers.errors.append(f"{kind}: {error!r}")
                return _BACK_OFF_S
            self.answers.ms[kind].append((time.perf_counter() - begin) * 1000)
            return pause_s

    def _upload(self, client: Client, rng: random.Random) -> float:
        file, lines = rng.choice(self._files)
        self.answers.jobs[client.upload(file, "upsert")] = lines
        return rng.uniform(2, 10)

    def _read_status(self, client: Client, rng: random.Random) -> float:
        job_id = self._some_job(rng)
        if job_id is not None:
            client.status(job_id)
        return 0.2

    def _read_users(self, client: Client, rng: random.Random) -> float:
        client.get(f"/audience?pageSize=100&country={rng.choice(('Germany', 'India', 'Japan'))}")
        return 0.5

    def _follow(self, client: Client, rng: random.Random) -> float:
        job_id = self._some_job(rng)
        if job_id is not None:
            client.get(f"/batchinfo/status/{job_id}/events")
        return 0.5

    def _create(self, client: Client, rng: random.Random) -> float:
        email = f"load.{next(self._numbers)}@bench.example"
        user: dict[str, Any] = {"firstName": "Grace", "lastName": "Load", "country": "Germany"}
        json.loads(client.post("/audience", user | {"email": email}))
        self.answers.users.append(email)
        return rng.uniform(0.5, 1.5)

    def _some_job(self, rng: random.Random) -> str | None:
        """Return one of the last jobs, or None before the first."""
        jobs = list(self.answers.jobs)[-20:]
        return rng.choice(jobs) if jobs else None
