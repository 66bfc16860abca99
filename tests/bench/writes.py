"""Single users created over HTTP: by one client, and by many at a steady rate."""

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from tests.bench.client import Client
from tests.bench.services import Installation

CLIENTS = 20
WANTED_PER_S = 200
_ALONE = 100
_POLL_S = 0.05
_EACH = 100
"""Users that each of many clients creates: ten seconds at the wanted rate."""
_INTERVAL_S = CLIENTS / WANTED_PER_S


@dataclass(frozen=True, slots=True)
class Creations:
    """How long each user took, from the request to the answer, which comes when it is visible."""

    milliseconds: Sequence[float]
    seconds: float
    """For all of them."""

    @property
    def per_s(self) -> float:
        """Users a second."""
        return len(self.milliseconds) / self.seconds


def created_alone(installed: Installation) -> Creations:
    """One client creates one user after another."""
    _create(installed.client, "warm", 0)
    begin = time.perf_counter()
    times = [_create(installed.client, "alone", number) for number in range(_ALONE)]
    return Creations(times, time.perf_counter() - begin)


def created_meanwhile(installed: Installation, file: Path, mode: str) -> Creations:
    """One client creates one user after another while a file is imported."""
    with closing(installed.another_client()) as client, ThreadPoolExecutor(1) as pool:
        job_id = installed.client.upload(file, mode)
        ended = pool.submit(client.wait_ended, job_id, poll_s=_POLL_S)
        begin = time.perf_counter()
        times: list[float] = []
        while not ended.done():
            times.append(_create(installed.client, mode, len(times)))
        return Creations(times, time.perf_counter() - begin)


def created_by_many(installed: Installation) -> Creations:
    """Many clients create users, each at its part of the wanted rate, or as fast as it goes."""
    clients = [installed.another_client() for _ in range(CLIENTS)]
    begin = time.perf_counter()
    with ThreadPoolExecutor(CLIENTS) as pool:
        times = list(pool.map(_at_its_rate, clients, range(CLIENTS)))
    seconds = time.perf_counter() - begin
    for client in clients:
        client.close()
    return Creations([each for of_client in times for each in of_client], seconds)


def _at_its_rate(client: Client, number: int) -> list[float]:
    # Clients begin apart, as callers that know nothing of one another do.
    begin = time.perf_counter() + number * _INTERVAL_S / CLIENTS
    times: list[float] = []
    for count in range(_EACH):
        time.sleep(max(begin + count * _INTERVAL_S - time.perf_counter(), 0))
        times.append(_create(client, f"client{number}", count))
    return times


def _create(client: Client, who: str, number: int) -> float:
    user = {
        "firstName": "Grace",
        "lastName": "Hopper",
        "email": f"{who}.{number}@bench.example",
        "country": "Germany",
    }
    begin = time.perf_counter()
    client.post("/audience", user)
    return (time.perf_counter() - begin) * 1000
