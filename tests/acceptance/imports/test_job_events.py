"""Status events of a running installation: how many, how long, and how they end."""

from __future__ import annotations

import contextlib
import json
from typing import TYPE_CHECKING, Any

import httpx2
import pytest

from tests.support.clients.client import BASE, Client
from tests.support.data.files import tidy_csv
from tests.support.servers.breaking import killed
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    from deploy.local_stack.stack import LocalStack
    from tests.support.servers.rig import Rig
    from tests.support.servers.services import Service

STATUS = f"{BASE}/batchinfo/status"
MOST = 3
OF_ACCOUNT = 2


@pytest.fixture
def small_api(rig: Rig) -> Iterator[tuple[Service, Client]]:
    """An API that has room for three streams."""
    service, client = rig.services.api(event_streams=str(MOST))
    with client:
        wait_until(client.is_ready, 30)
        yield service, client


@pytest.fixture
def waiting_job(rig: Rig) -> int:
    """A job that nobody publishes."""
    rig.publisher.kill()
    return rig.submit(tidy_csv(range(2000)))


@contextlib.contextmanager
def events(client: Client, job_id: int, **headers: str) -> Generator[Iterator[dict[str, Any]]]:
    """The events of a job as they come; a stream has begun."""
    path = f"{STATUS}/{job_id}/events"
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    with client.http.stream("GET", path, headers=named) as answer:
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/event-stream")
        assert answer.headers["cache-control"] == "no-store"
        yield _parsed(answer.iter_lines())


def _parsed(lines: Iterator[str]) -> Iterator[dict[str, Any]]:
    event: dict[str, Any] = {}
    for line in lines:
        field, _, value = line.partition(": ")
        if not line and event:
            yield event
            event = {}
        elif field:
            event[field] = json.loads(value) if field == "data" else value


def test_a_job_is_followed_from_its_acceptance_to_its_end(rig: Rig, waiting_job: int) -> None:
    """The first event comes at once; one that comes again at the end is told so."""
    with events(rig.client, waiting_job) as found:
        assert next(found) == {"retry": "2000"}
        first = next(found)
        assert first["data"]["state"] == "ACCEPTED"
        rig.restart_publisher()
        later = list(found)
    assert later[-1]["data"]["state"] == "COMPLETED"
    assert len({event["id"] for event in (first, *later)}) == len(later) + 1
    with events(rig.client, waiting_job) as found:
        assert [event["data"] for event in list(found)[1:]] == [later[-1]["data"]]
    again = rig.client.http.get(
        f"{STATUS}/{waiting_job}/events", headers={"Last-Event-ID": later[-1]["id"]}
    )
    assert (again.status_code, again.content) == (204, b"")


def test_streams_are_bounded_and_freed_at_once(
    small_api: tuple[Service, Client], waiting_job: int
) -> None:
    """The next one is answered 503, of one account 429; a client that goes away makes room."""
    _, client = small_api
    path = f"{STATUS}/{waiting_job}/events"
    account = {"name": "other", "role": "reader"}
    password = client.http.post(f"{BASE}/admin/accounts", json=account).json()["password"]
    other = Client(client.url, password)
    other.http.auth = ("other", password)
    for _ in range(3):
        with contextlib.ExitStack() as stack:
            of = [client] * OF_ACCOUNT + [other] * (MOST - OF_ACCOUNT)
            streams = [_begun(stack, each, path) for each in of]
            assert ["retry" in next(found) for found in streams] == [True] * MOST
            for who, status in ((client, 429), (other, 503)):
                refused = who.http.get(path, timeout=60)
                assert refused.status_code == status
                assert int(refused.headers["Retry-After"]) > 0
            assert client.status(waiting_job)["state"] == "ACCEPTED"
    other.close()


def _begun(stack: contextlib.ExitStack, client: Client, path: str) -> Iterator[dict[str, Any]]:
    """The events of a stream, once those that were closed have made room for it."""
    begun: list[httpx2.Response] = []

    def is_taken() -> bool:
        answer = stack.enter_context(client.http.stream("GET", path))
        if answer.status_code == 200:
            begun.append(answer)
        return bool(begun)

    wait_until(is_taken, 30)
    return _parsed(begun[0].iter_lines())


def test_an_order_to_stop_ends_streams_at_once(
    small_api: tuple[Service, Client], waiting_job: int
) -> None:
    """In order, so that the client comes again elsewhere."""
    service, client = small_api
    with events(client, waiting_job) as found:
        assert "retry" in next(found)
        assert next(found)["data"]["state"] == "ACCEPTED"
        assert service.terminate() == 0
        assert list(found) == []


def test_a_stream_outlives_postgres(rig: Rig, waiting_job: int, stack: LocalStack) -> None:
    """It goes on once Postgres is back; one that begins meanwhile is answered 503."""
    with events(rig.client, waiting_job) as found:
        assert next(found), next(found)
        with (
            killed(stack.postgres),
            httpx2.Client(auth=rig.client.http.auth, base_url=rig.client.url) as other,
        ):
            answer = other.get(f"{STATUS}/{waiting_job}/events", timeout=60)
            assert answer.status_code == 503
        rig.restart_publisher()
        assert list(found)[-1]["data"]["state"] == "COMPLETED"
