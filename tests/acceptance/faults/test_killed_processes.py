"""kill -9 in the middle of a job, of each process in turn."""

from __future__ import annotations

import random
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import httpx2
import pytest

from tests.support.clients.client import Client
from tests.support.data.files import dirty_csv, tidy_csv
from tests.support.data.log_reading import accepted_jobs
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.servers.rig import Rig

_ROWS = 30_000


def test_processor_killed_again_and_again(rig: Rig) -> None:
    """Each row counts once, wherever its processor died."""
    rng = random.Random(2)
    rig.submit(dirty_csv(rng, _ROWS, keys=_ROWS, faults=0.01), "insert")
    rig.submit(dirty_csv(rng, _ROWS, keys=_ROWS, faults=0.01), "upsert")
    rig.submit(dirty_csv(rng, _ROWS, keys=_ROWS, faults=0.01), "delsert")
    for lines in sorted(rng.sample(range(3 * _ROWS), 4)):
        rig.wait_projected(lines)
        rig.processors[0].kill()
        rig.restart_processor()
    rig.assert_as_modelled()


def test_publisher_killed_again_and_again(rig: Rig) -> None:
    """The pass is made again, and what comes twice counts once."""
    rng = random.Random(1)
    rig.submit(tidy_csv(range(3 * _ROWS)), "insert")
    rig.submit(dirty_csv(rng, _ROWS, keys=4 * _ROWS, faults=0.01), "upsert")
    for records in sorted(rng.sample(range(4 * _ROWS), 4)):
        rig.wait_published(records)
        rig.publisher.kill()
        rig.restart_publisher()
    rig.assert_as_modelled()


def test_one_of_two_processors_killed(rig_of_two: Rig) -> None:
    """The other one takes over its partitions."""
    rig = rig_of_two
    rig.submit(tidy_csv(range(_ROWS)), "insert")
    rig.wait_projected(1)
    rig.processors[1].kill()
    rig.assert_as_modelled()


def test_everything_killed_at_once(rig: Rig) -> None:
    """What was answered with 200 is done after all were started again."""
    rig.submit(tidy_csv(range(_ROWS)), "insert")
    rig.submit(tidy_csv(range(100), word="b"), "upsert")
    for service in (rig.api, rig.publisher, *rig.processors):
        service.kill()
    rig.restart_publisher()
    rig.restart_processor()
    rig.restart_api()
    rig.assert_as_modelled()


def test_api_killed_while_it_receives(rig: Rig) -> None:
    """The upload leaves no job, and a retry with its Idempotency-Key makes exactly one."""
    content = tidy_csv(range(_ROWS))
    has_sent = threading.Event()

    def slowly() -> Iterator[bytes]:
        yield content[: len(content) // 2]
        has_sent.set()
        wait_until(lambda: not rig.api.is_running, 30)
        yield content[len(content) // 2 :]

    headers = {"Idempotency-Key": "first try"}
    with ThreadPoolExecutor() as pool:
        upload = pool.submit(rig.client.upload, slowly(), headers=headers)
        assert has_sent.wait(60)
        rig.api.kill()
        with pytest.raises(httpx2.TransportError):
            upload.result(60)
    assert accepted_jobs(rig.env.settings) == []
    rig.restart_api()
    job_id = rig.submit(content, headers=headers)
    assert rig.submit(content, headers=headers) == job_id
    model = rig.assert_as_modelled()
    assert list(model.outcomes) == [job_id]


@pytest.mark.parametrize("seed", [1, 2])
def test_api_killed_around_its_answer(rig: Rig, seed: int) -> None:
    """Uploads answered with 200 are done, all others whole or not at all; a retry makes one."""
    rng = random.Random(seed)
    contents = [tidy_csv(range(number * 1000, number * 1000 + 900)) for number in range(8)]
    rig.files += contents
    kept_before = rng.randrange(8)

    def upload(number: int) -> int | None:
        with Client(rig.client.url, rig.env.password) as client:
            try:
                headers = {"Idempotency-Key": f"upload {number}"}
                return client.submit(contents[number], "upsert", headers=headers)
            except httpx2.TransportError:
                return None

    with ThreadPoolExecutor(8) as pool:
        answers = [pool.submit(upload, number) for number in range(8)]
        wait_until(lambda: sum(answer.done() for answer in answers) >= kept_before, 30, every_s=0)
        rig.api.kill()
        answered = [answer.result(60) for answer in answers]
    in_log = {job.job_id for job in accepted_jobs(rig.env.settings)}
    assert {job_id for job_id in answered if job_id is not None} <= in_log
    rig.restart_api()
    retried = [upload(number) for number in range(8)]
    assert all(before in {None, after} for before, after in zip(answered, retried, strict=True))
    model = rig.assert_as_modelled()
    assert set(model.outcomes) == set(retried)
    assert len(model.outcomes) == 8
