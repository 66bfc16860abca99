"""Clients of an installation, each in a thread of its own, with what it does drawn from a seed.

Each upload is tried again, with the same ``Idempotency-Key``, until it is answered with 200.
"""

from __future__ import annotations

import itertools
import json
import threading
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, Protocol

import httpx2
import psycopg
from confluent_kafka import Producer

from schemas.codec import codec
from schemas.log.job_states import ENDED_STATES
from schemas.log.topics import partition_of
from tests.support.chaos.observations import GUARDS
from tests.support.clients.client import BASE, Client
from tests.support.clients.other_producers import row_of
from tests.support.clients.projections import request
from tests.support.data.files import dirty_csv, tidy_csv
from tests.support.models.verdict import select

if TYPE_CHECKING:
    import random
    from collections.abc import Callable

    from schemas.events import RowMode
    from tests.support.chaos.observations import Observations
    from tests.support.chaos.report import Report
    from tests.support.servers.surroundings import Ground

KEYS: Final = 20_000
MODES: Final = (
    "insert", "insert", "upsert", "upsert", "upsert", "update", "ignore", "delete", "delsert",
)  # fmt: skip
TIMEOUT_S: Final = 300.0
"""What the slowest recovery needs, many times over: machines are busy."""
AT_WORK: Final = "SELECT FROM projection_instance WHERE state IN ('requested', 'building')"
_HASTE: Final = 0.4
"""So often a client sends its next file before the last is projected."""
_REQUEST_TIMEOUT_S: Final = 15.0
_DATA: Final = "data:"
RETRIED: Final = frozenset({429, 500, 503})
_CHANGED: Final = frozenset({200, 409}) | RETRIED
_ROW_MODES: Final[tuple[RowMode, ...]] = ("insert", "upsert", "upsert", "delete")


@dataclass(slots=True)
class Scene:
    """What all clients share: where the API processes are, and what has come of it so far."""

    env: Ground
    urls: list[str]
    report: Report
    seen: Observations
    most_rows: int = 3000
    """Of a file."""
    over: threading.Event = field(default_factory=threading.Event)
    """Set when nothing new should begin."""
    files: list[bytes] = field(default_factory=list[bytes])
    answered: list[int] = field(default_factory=list[int])
    """Jobs whose upload was answered with 200, in no order."""
    asked: itertools.count[int] = field(default_factory=itertools.count)


class Act(Protocol):
    """What a client does again and again."""

    def __call__(self, doors: Doors) -> None:
        """Do it once; what is refused or breaks off because something is broken is no fault."""
        ...


@dataclass(slots=True)
class Doors:
    """One client's connections to all API processes, and its chance."""

    scene: Scene
    rng: random.Random
    clients: list[Client] = field(init=False)

    def __post_init__(self) -> None:
        """Make a client for each process; no connection is made yet."""
        self.clients = [Client(url, self.scene.env.password) for url in self.scene.urls]
        for client in self.clients:
            client.http.timeout = _REQUEST_TIMEOUT_S

    def any(self) -> Client:
        """One of them."""
        return self.rng.choice(self.clients)

    def repeat(self, act: Act, longest_pause_s: float) -> None:
        """Do it again and again until the scene is over."""
        try:
            while not self.scene.over.is_set():
                act(self)
                time.sleep(self.rng.uniform(0, longest_pause_s))
        finally:
            for client in self.clients:
                client.close()


def try_answer(ask: Callable[[], httpx2.Response]) -> httpx2.Response | None:
    """The answer; None where there is none, and the log alone says what became of it."""
    try:
        return ask()
    except httpx2.TransportError:
        return None


def upload_or_change(doors: Doors) -> None:
    """Upload a file, ask what one would do, or have a job undone, done again or cancelled."""
    drawn = doors.rng.random()
    if drawn < 0.65 or not doors.scene.answered:
        upload(doors)
    elif drawn < 0.75:
        _dry_run(doors)
    elif drawn < 0.9:
        recent = doors.scene.answered[-8:]
        _change(doors, doors.rng.choice(["undo", "undo", "redo"]), doors.rng.choice(recent))
    else:
        _change(doors, "cancel", doors.scene.answered[-1])


def _file(doors: Doors, mode: str) -> bytes:
    most_rows = doors.scene.most_rows
    rng = doors.rng
    rows = rng.choice([rows for rows in (10, 30, 100, 300, 1000, 3000) if rows <= most_rows])
    if mode != "delsert":
        return dirty_csv(rng, rows, keys=KEYS, faults=0.02)
    number = next(doors.scene.asked)
    guards = "".join(
        f"D{number},Guard,guard{at}@example.org,,Germany,Guarded,01/02/2024\n"
        for at in range(GUARDS)
    )
    return tidy_csv(rng.sample(range(KEYS), rows), word=f"d{number}") + guards.encode()


def upload(doors: Doors) -> None:
    """Upload a file until it is answered, and mostly wait until its job has ended."""
    mode = doors.rng.choice(MODES)
    content = _file(doors, mode)
    doors.scene.files.append(content)
    headers = {"Idempotency-Key": f"upload {next(doors.scene.asked)}"}
    began_at = datetime.now(UTC)
    give_up_s = time.monotonic() + TIMEOUT_S
    while True:
        client = doors.any()
        answer = try_answer(lambda: client.upload(content, mode, headers=headers))  # noqa: B023 - called at once
        if answer is not None and answer.status_code == 200:
            job_id = int(answer.json()["id"])
            if mode == "delsert":
                doors.scene.seen.delsert(job_id, began_at)
            doors.scene.answered.append(job_id)
            if doors.rng.random() >= _HASTE:
                wait_ended(doors, job_id)
            return
        reason = "no answer" if answer is None else f"{answer.status_code}: {answer.text}"
        assert answer is None or answer.status_code in RETRIED, reason
        if time.monotonic() > give_up_s:
            raise TimeoutError(reason)
        time.sleep(0.2)


def wait_ended(doors: Doors, job_id: int) -> None:
    """Wait for the job's end: a slow machine is not to fall behind more and more."""
    while not doors.scene.over.is_set():
        answer = try_answer(lambda: read_status(doors.any(), job_id))
        if answer is not None and answer.is_success and answer.json()["state"] in ENDED_STATES:
            return
        time.sleep(0.5)


def read_status(client: Client, job_id: int) -> httpx2.Response:
    """The answer to who asks for a job's status."""
    return client.http.get(f"{BASE}/batchinfo/status/{job_id}")


def _dry_run(doors: Doors) -> None:
    mode = doors.rng.choice(MODES)
    content, client = _file(doors, mode), doors.any()
    fields = {"dryRun": "true"}
    answer = try_answer(lambda: client.upload(content, mode, fields=fields))
    if answer is not None and answer.status_code == 200:
        doors.scene.report.dry_runs += 1


def _change(doors: Doors, word: str, job_id: int) -> None:
    doors.scene.seen.changed(job_id)
    client = doors.any()
    answer = try_answer(lambda: client.change(word, job_id))
    if answer is not None:
        assert answer.status_code in _CHANGED, f"{answer.status_code}: {answer.text}"


class Readers:
    """Reads what each delsert sets, and statuses of jobs, at any process."""

    def __init__(self) -> None:
        self._before: dict[int, dict[str, Any]] = {}

    def __call__(self, doors: Doors) -> None:
        """Read once."""
        client, scene = doors.any(), doors.scene
        query = {"state": "Guarded", "pageSize": 100}
        page = try_answer(lambda: client.http.get(f"{BASE}/audience", params=query))
        if page is not None and page.status_code == 200:
            scene.seen.guards(page.json()["audience"], page.json()["total"])
        for job_id in scene.answered[-3:]:
            client = doors.any()
            answer = try_answer(lambda: read_status(client, job_id))  # noqa: B023 - called at once
            if answer is None or answer.status_code in RETRIED:
                continue
            if answer.status_code != 200:
                scene.seen.unknown(job_id, f"{answer.status_code}: {answer.text}")
                continue
            scene.seen.status(self._before.get(job_id), answer.json())
            self._before[job_id] = answer.json()


def watch_job(doors: Doors) -> None:
    """Follow the last answered job by events, until it ends or the stream does."""
    if not doors.scene.answered:
        return
    path, before = f"{BASE}/batchinfo/status/{doors.scene.answered[-1]}/events", None
    try:
        with doors.any().http.stream("GET", path) as answer:
            for line in answer.iter_lines() if answer.status_code == 200 else ():
                if line.startswith(_DATA) and (now := json.loads(line.removeprefix(_DATA))):
                    doors.scene.seen.status(before, now)
                    before = now
    except httpx2.TransportError:
        return


class OtherProducers:
    """Sends users of another producer, and garbage, straight to the topic."""

    def __init__(self, env: Ground) -> None:
        self._topic = env.settings.topics.user_events
        self._producer = Producer(dict(env.settings.kafka))

    def __call__(self, doors: Doors) -> None:
        """Send some; what Kafka never acknowledges is in the log or not."""
        for _ in range(doors.rng.randrange(20)):
            self._send(doors.rng, f"user{doors.rng.randrange(KEYS)}@example.com")
        self._producer.poll(0)

    def _send(self, rng: random.Random, key: str) -> None:
        """A key that comes again has the event id that it had: a repeat, or a conflict."""
        row = row_of(key, mode=rng.choice(_ROW_MODES), first_name=rng.choice(["Kim", "Lin"]))
        whole = codec.encode(row)
        garbage = (
            b"poison",
            whole[:-3],
            whole + b"x",
            json.dumps({"key": key}).encode(),
            whole[:5],
        )
        value = whole if rng.random() < 0.9 else rng.choice(garbage)
        partition = partition_of(key.encode(), self._topic.partitions)
        self._producer.produce(self._topic.name, value, key.encode(), partition)

    def close(self) -> None:
        """Wait for what is still under way."""
        self._producer.flush(TIMEOUT_S)


def rebuild(doors: Doors) -> None:
    """Ask for tables to be built anew, or to be verified, unless some are or Postgres is away."""
    try:
        if select(doors.scene.env, AT_WORK):
            return
        request(doors.scene.env, doors.rng.choice(["rebuild", "rebuild", "verify"]))
    except psycopg.Error:
        return
    doors.scene.report.rebuilds += 1
