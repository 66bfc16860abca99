"""A history of jobs, undos, other producers and faults from one seed, and the verdict on it.

Uploads go on in a thread of their own; each is tried again, with the same
``Idempotency-Key``, until it is answered with 200.
Between them jobs are undone and done again, whatever the answer.
In another thread other producers send events, and users are added one by one.
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

import httpx2
import psycopg
from confluent_kafka import Producer

from schemas.codec import codec
from schemas.log.topics import partition_of
from tests.support.clients.client import Client
from tests.support.clients.other_producers import row_of
from tests.support.clients.projections import assert_proven
from tests.support.clients.single_users import ANA, create
from tests.support.data.files import dirty_csv
from tests.support.data.log_reading import accepted_jobs
from tests.support.servers.breaking import restart
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from schemas.events import RowMode
    from tests.support.servers.rig import Rig
    from tests.support.servers.services import Service

_KEYS = 20_000
_START_TIMEOUT_S = 60
_USUAL_STALL_S = 5
_UPLOAD_TIMEOUT_S = 120
_RETRIED = frozenset({429, 500, 503})
_CHANGED = frozenset({200, 409}) | _RETRIED
_CHANGES = 0.2
"""How often a job is undone or done again after an upload."""
_CANCELS = 0.2
"""How often, where not, the last one is cancelled, which may run still."""
_ROW_MODES: tuple[RowMode, ...] = ("insert", "upsert", "upsert", "delete")
MODES = ("insert", "insert", "upsert", "upsert", "upsert", "update", "ignore", "delete", "delsert")


@dataclass(slots=True)
class Report:
    """What happened."""

    seed: int
    jobs: int = 0
    rows: int = 0
    undone: int = 0
    others: int = 0
    """Events of other producers, and writes of the API."""
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
    builders = [rig.services.builder()]
    with ThreadPoolExecutor(3) as pool:
        stopping = threading.Event()
        watch = pool.submit(_watch, rig, stopping, report)
        uploads = pool.submit(_upload_all, rig, random.Random(f"jobs {seed}"), deadline)
        others = pool.submit(_send_others, rig, random.Random(f"others {seed}"), deadline)
        try:
            faults = _faults(rig, random.Random(f"details {seed}"), builders)
            _break_things(faults, random.Random(f"faults {seed}"), deadline, report)
            answered = uploads.result(_UPLOAD_TIMEOUT_S)
            others.result(_UPLOAD_TIMEOUT_S)
            model = rig.assert_as_logged()
            assert_proven(rig.env)
        finally:
            stopping.set()
        watch.result()
    assert answered == {job.job_id for job in accepted_jobs(rig.env.settings)}
    report.jobs = len(model.jobs)
    report.rows = sum(sum(job.outcome.counts) for job in model.jobs.values())
    report.undone = sum(job.outcome.is_reverted for job in model.jobs.values())
    report.others = sum(sum(tally.counts.values()) for tally in model.sources.values())
    return report


def _upload_all(rig: Rig, rng: random.Random, deadline: float) -> set[int]:
    """Upload one file after another until the deadline; the ids of the jobs."""
    answered: list[int] = []
    with Client(rig.client.url, rig.env.password) as client:
        while time.monotonic() < deadline:
            rows = rng.choice([10, 100, 1000, 5000])
            content = dirty_csv(rng, rows, keys=_KEYS, faults=0.02)
            rig.files.append(content)
            answered.append(_upload(client, content, rng.choice(MODES), f"key {len(answered)}"))
            if rng.random() < _CHANGES:
                _change(client, rng.choice(["undo", "undo", "redo"]), rng.choice(answered))
            elif rng.random() < _CANCELS:
                _change(client, "cancel", answered[-1])
            time.sleep(rng.random())
    return set(answered)


def _change(client: Client, word: str, job_id: int) -> None:
    """Ask for a change of the job; where it is so already, say, it is refused."""
    try:
        answer = client.change(word, job_id)
    except httpx2.TransportError:
        return  # the log says whether it counts
    assert answer.status_code in _CHANGED, f"{answer.status_code}: {answer.text}"


def _send_others(rig: Rig, rng: random.Random, deadline: float) -> None:
    """Send other producers' events, and add single users, until the deadline."""
    settings = rig.env.settings
    producer = Producer(dict(settings.kafka))
    with Client(rig.client.url, rig.env.password) as client:
        while time.monotonic() < deadline:
            for _ in range(rng.randrange(20)):
                key = f"user{rng.randrange(_KEYS)}@example.com"
                _send_one(rig, producer, rng, key)
            _add_user(client, f"single{rng.randrange(_KEYS)}@example.com")
            producer.poll(0)
            time.sleep(rng.random())
    # What Kafka never acknowledged is in the log or not: the verdict reads it there.
    producer.flush(_UPLOAD_TIMEOUT_S)


def _send_one(rig: Rig, producer: Producer, rng: random.Random, key: str) -> None:
    """A key that comes again has the event id that it had: a repeat, or a conflict."""
    row = row_of(key, mode=rng.choice(_ROW_MODES), first_name=rng.choice(["Kim", "Lin"]))
    value = codec.encode(row) if rng.random() < 0.95 else b"poison"
    topic = rig.env.settings.topics.user_events
    partition = partition_of(key.encode(), topic.partitions)
    producer.produce(topic.name, value, key.encode(), partition)


def _add_user(client: Client, email: str) -> None:
    try:
        create(client, {**ANA, "email": email})
    except httpx2.TransportError:
        return  # the log says whether it counts


def _upload(client: Client, content: bytes, mode: str, key: str) -> int:
    give_up = time.monotonic() + _UPLOAD_TIMEOUT_S
    while True:
        try:
            answer = client.upload(content, mode, headers={"Idempotency-Key": key})
        except httpx2.TransportError as error:
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


def _break_things(
    faults: Mapping[str, Callable[[], None]],
    rng: random.Random,
    deadline: float,
    report: Report,
) -> None:
    while time.monotonic() < deadline:
        time.sleep(rng.uniform(0.2, 3.0))
        name = rng.choice(list(faults))
        report.faults[name] += 1
        report.note(name)
        faults[name]()


def _faults(rig: Rig, rng: random.Random, builders: list[Service]) -> dict[str, Callable[[], None]]:
    def worker() -> int:
        return rng.randrange(len(rig.processors))

    stack = rig.env.surroundings.stack
    assert stack is not None
    return {
        "processor killed": lambda: _kill_processor(rig, worker()),
        "processor frozen": lambda: _freeze(rig.processors[worker()], rng),
        "processor stopped": lambda: _stop_processor(rig, worker()),
        "publisher killed": lambda: _kill_publisher(rig),
        "publisher frozen": lambda: _freeze(rig.publisher, rng),
        "API killed": lambda: _kill_api(rig),
        "builder killed": lambda: _kill_builder(rig, builders),
        "Postgres killed": lambda: restart(stack.postgres),
        "Kafka killed": lambda: restart(stack.kafka),
    }


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


def _kill_builder(rig: Rig, builders: list[Service]) -> None:
    builders.pop().kill()
    builders.append(rig.services.builder())


def _freeze(service: Service, rng: random.Random) -> None:
    service.freeze()
    time.sleep(rng.choice([0.5, 2, 8]))  # the last is past the group's session time-out
    service.thaw()
