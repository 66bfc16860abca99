"""Orderly ends, late starts, and more than one of a kind."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from tests.support.clients.client import Client
from tests.support.data.files import tidy_csv
from tests.support.models.verdict import select
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from tests.support.servers.rig import Rig

_ROWS = 40_000


def test_two_processors_share_the_work(rig_of_two: Rig) -> None:
    """Both hold partitions while a job goes on."""
    rig = rig_of_two
    holders = "SELECT DISTINCT holder_pid FROM projection_1.projection_offset"
    wait_until(lambda: len(select(rig.env, holders)) == 2, 60, saying="both have joined")
    rig.run(tidy_csv(range(_ROWS)))
    assert len(select(rig.env, holders)) == 2
    rig.assert_as_modelled()


def test_processors_come_and_go_during_a_job(rig: Rig) -> None:
    """Rebalances change nothing in the result."""
    rig.submit(tidy_csv(range(_ROWS)))
    rig.submit(tidy_csv(range(0, _ROWS, 2), word="b"), "upsert")
    rig.wait_projected(1)
    second = rig.services.processor()
    rig.wait_projected(_ROWS // 3)
    third = rig.services.processor()
    assert rig.processors[0].terminate() == 0
    rig.wait_projected(_ROWS)
    assert third.terminate() == 0
    assert second.is_running
    rig.assert_as_modelled()


def test_sigterm_in_the_middle_of_a_job_ends_each_process_with_0(rig: Rig) -> None:
    """In order, and the job is done after a new start."""
    rig.submit(tidy_csv(range(_ROWS)))
    rig.wait_projected(1)
    assert rig.processors[0].terminate() == 0
    assert rig.publisher.terminate() == 0
    assert rig.api.terminate() == 0
    assert rig.services.leftovers() == []
    rig.restart_publisher()
    rig.restart_processor()
    rig.assert_as_modelled()


def test_sigterm_ends_idle_processes_with_0(rig: Rig) -> None:
    """They leave no process behind."""
    for service in (rig.api, rig.publisher, *rig.processors):
        assert service.terminate() == 0
    assert rig.services.leftovers() == []


def test_uploads_are_taken_while_no_processor_runs(rig: Rig) -> None:
    """Their status is known at once, and they are done when a processor starts."""
    assert rig.processors[0].terminate() == 0
    job_id = rig.submit(tidy_csv(range(300)))
    status = rig.client.status(job_id)
    assert status["state"] == "ACCEPTED"
    assert status["statusMessage"] == "File uploaded successfully, import is in progress."
    assert status["id"] == str(job_id)
    rig.restart_processor()
    assert rig.wait_ended(job_id)["state"] == "COMPLETED"
    rig.assert_as_modelled()


def test_uploads_are_taken_while_no_publisher_runs(rig: Rig) -> None:
    """They are done when one starts."""
    assert rig.publisher.terminate() == 0
    job_id = rig.submit(tidy_csv(range(300)))
    assert rig.client.status(job_id)["state"] == "ACCEPTED"
    rig.restart_publisher()
    assert rig.wait_ended(job_id)["state"] == "COMPLETED"
    rig.assert_as_modelled()


def test_an_instance_that_has_just_started_takes_uploads(rig: Rig) -> None:
    """Requests wait for it to be ready, as long as for any connection; none is refused."""
    for _ in range(3):
        _, other = rig.services.api()
        with other:
            assert other.upload(tidy_csv(range(10))).status_code == 200


def test_ten_uploads_with_one_idempotency_key_are_one_job(rig: Rig) -> None:
    """Sent at once, to two instances of the API."""
    _, other = rig.services.api()
    wait_until(other.is_ready, 40)
    content = tidy_csv(range(2000))
    rig.files.append(content)

    def upload(number: int) -> str:
        url = (rig.client, other)[number % 2].url
        with Client(url, rig.env.password) as client:
            answer = client.upload(content, headers={"Idempotency-Key": "once"})
        assert answer.status_code == 200, answer.text
        return answer.json()["id"]

    with other, ThreadPoolExecutor(10) as pool:
        ids = set(pool.map(upload, range(10)))
        assert len(ids) == 1
        job_id = int(ids.pop())
        assert rig.wait_ended(job_id)["total"] == other.wait_ended(job_id)["total"] == 2000
    model = rig.assert_as_modelled()
    assert len(model.outcomes) == 1


def test_an_idempotency_key_with_other_content_is_refused(rig: Rig) -> None:
    """409, and the first job stands."""
    headers = {"Idempotency-Key": "once"}
    rig.submit(tidy_csv(range(10)), headers=headers)
    assert rig.client.upload(tidy_csv(range(11)), headers=headers).status_code == 409
    model = rig.assert_as_modelled()
    assert len(model.users) == 10
