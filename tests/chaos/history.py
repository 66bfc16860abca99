"""A history of jobs and faults, both from one seed, and the verdict on what it leaves.

Uploads go on in a thread of their own; each is tried again, with the same
``Idempotency-Key``, until it is answered with 200.
Faults come one at a time, and each is undone after a moment.
"""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import httpx
import psycopg

from tests.client import Client
from tests.files import dirty_csv
from tests.log_reading import accepted_jobs
from tests.projections import assert_proven
from tests.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.rig import Rig
    from tests.services import Service

_KEYS = 20_000
_START_TIMEOUT_S = 60
_USUAL_STALL_S = 5
_UPLOAD_TIMEOUT_S = 120
_RETRIED = frozenset({429, 500, 503})
_MODES = ("insert", "insert", "upsert", "upsert", "upsert", "delsert")


@dataclass(slots=True)
class Report:
    """What happened."""

    seed: int
    jobs: int = 0
    rows: int = 0
    faults: Counter[str] = field(default_factory=Counter[str])
    longest_stall_s: float = 0.0
    events: list[str] = field(default_factory=list[str])
    """When which fault came, and stalls that were longer than usual; seconds from the start."""
    started_s: float = field(default_factory=time.monotonic)

    def note(self, what: str) -> None:
        """Keep what happened, with its time."""
        self.events.append(f"{time.monotonic() - self.started_s:7.1f} {what}")


def run_history(rig: Rig, *, seed: int, duration_s: float) -> Report:
    """Upload and break things for a while and let all heal; live, rebuilt and model must agree."""
    report = Report(seed)
    deadline = time.monotonic() + duration_s
    with ThreadPoolExecutor(2) as pool:
        stopping = threading.Event()
        watch = pool.submit(_watch, rig, stopping, report)
        uploads = pool.submit(_upload_all, rig, random.Random(f"jobs {seed}"), deadline)
        try:
            _break_things(rig, random.Random(f"faults {seed}"), deadline, report)
            answered = uploads.result(_UPLOAD_TIMEOUT_S)
            model = rig.assert_as_modelled()
            rig.services.builder()
            assert_proven(rig.env)
        finally:
            stopping.set()
        watch.result()
    assert answered == {job.job_id for job in accepted_jobs(rig.env.settings)}
    report.jobs = len(model.outcomes)
    report.rows = sum(sum(outcome.counts) for outcome in model.outcomes.values())
    return report


def _upload_all(rig: Rig, rng: random.Random, deadline: float) -> set[int]:
    """Upload one file after another until the deadline; the ids of the jobs."""
    answered: set[int] = set()
    with Client(rig.client.url, rig.env.password) as client:
        while time.monotonic() < deadline:
            rows = rng.choice([10, 100, 1000, 5000])
            content = dirty_csv(rng, rows, keys=_KEYS, faults=0.02)
            rig.files.append(content)
            answered.add(_upload(client, content, rng.choice(_MODES), f"key {len(answered)}"))
            time.sleep(rng.random())
    return answered


def _upload(client: Client, content: bytes, mode: str, key: str) -> int:
    give_up = time.monotonic() + _UPLOAD_TIMEOUT_S
    while True:
        try:
            answer = client.upload(content, mode, headers={"Idempotency-Key": key})
        except httpx.TransportError as error:
            reason = repr(error)
        else:
            if answer.status_code == 200:
                return int(answer.json()["id"])
            reason = f"{answer.status_code}: {answer.text}"
            assert answer.status_code in _RETRIED, reason
        if time.monotonic() > give_up:
            raise TimeoutError(reason)
        time.sleep(0.2)


def _watch(rig: Rig, stopping: threading.Event, report: Report) -> None:
    """Note how long nothing went on although jobs waited, until told to stop."""
    last, since = 0, time.monotonic()
    while not stopping.wait(0.2):
        try:
            now = rig.projected()
        except psycopg.Error:
            continue
        if now != last:
            stall_s = time.monotonic() - since
            report.longest_stall_s = max(report.longest_stall_s, stall_s)
            if stall_s > _USUAL_STALL_S:
                report.note(f"nothing was projected for {stall_s:.1f} s")
            last, since = now, time.monotonic()


def _break_things(rig: Rig, rng: random.Random, deadline: float, report: Report) -> None:
    faults = _faults(rig, rng)
    while time.monotonic() < deadline:
        time.sleep(rng.uniform(0.2, 3.0))
        name = rng.choice(list(faults))
        report.faults[name] += 1
        report.note(name)
        faults[name]()


def _faults(rig: Rig, rng: random.Random) -> dict[str, Callable[[], None]]:
    def worker() -> int:
        return rng.randrange(len(rig.processors))

    faults: dict[str, Callable[[], None]] = {
        "processor killed": lambda: _kill_processor(rig, worker()),
        "processor frozen": lambda: _freeze(rig.processors[worker()], rng),
        "processor stopped": lambda: _stop_processor(rig, worker()),
        "publisher killed": lambda: _kill_publisher(rig),
        "publisher frozen": lambda: _freeze(rig.publisher, rng),
        "API killed": lambda: _kill_api(rig),
    }
    if rig.env.surroundings.stack is not None:
        faults |= {
            "Postgres killed": lambda: restart_postgres(rig),
            "Kafka killed": lambda: restart_kafka(rig),
        }
    return faults


def _kill_processor(rig: Rig, number: int) -> None:
    rig.processors[number].kill()
    rig.restart_processor(number)


def _stop_processor(rig: Rig, number: int) -> None:
    # Before its first line of log the interpreter may still be importing, and has no handler.
    wait_until(rig.processors[number].log_text, _START_TIMEOUT_S)
    assert rig.processors[number].terminate() == 0
    rig.restart_processor(number)


def _kill_publisher(rig: Rig) -> None:
    rig.publisher.kill()
    rig.restart_publisher()


def _kill_api(rig: Rig) -> None:
    rig.api.kill()
    rig.restart_api()


def _freeze(service: Service, rng: random.Random) -> None:
    service.freeze()
    time.sleep(rng.choice([0.5, 2, 8]))  # the last is past the group's session time-out
    service.thaw()


def restart_postgres(rig: Rig) -> None:
    """Kill -9 of the database server, and a new start."""
    stack = rig.env.surroundings.stack
    assert stack is not None
    stack.postgres.child.kill()
    stack.postgres.launch()
    stack.postgres.wait_ready(_START_TIMEOUT_S)


def restart_kafka(rig: Rig) -> None:
    """Kill -9 of the broker, and a new start."""
    stack = rig.env.surroundings.stack
    assert stack is not None
    stack.kafka.child.kill()
    stack.kafka.launch()
    stack.kafka.wait_ready(_START_TIMEOUT_S)
