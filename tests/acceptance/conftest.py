"""Whole installations, as a user runs them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.clients.raw_http import accounts_and_topics_are_there, jobs
from tests.support.models.verdict import select
from tests.support.servers.rig import Rig, installation
from tests.support.servers.services import Services
from tests.support.servers.surroundings import ground
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.clients.client import Client
    from tests.support.servers.services import Service
    from tests.support.servers.surroundings import Ground, Surroundings


@pytest.fixture
def own_rig(env: Ground, services: Services) -> Iterator[Rig]:
    """An API, a publisher and one processor, ready."""
    started = Rig.start(env, services)
    yield started
    started.close()


@pytest.fixture
def rig(own_rig: Rig) -> Rig:
    """The same; a module whose tests need no installation of their own says ``emptied`` instead."""
    return own_rig


@pytest.fixture
def rig_of_two(env: Ground, services: Services) -> Iterator[Rig]:
    """The same with two processors."""
    started = Rig.start(env, services, processors=2)
    yield started
    started.close()


@pytest.fixture(scope="module")
def rig_of_module(
    surroundings_of_session: Surroundings, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Rig]:
    """An API, a publisher and one processor that the tests of a module share."""
    with installation(surroundings_of_session, tmp_path_factory.mktemp("logs")) as started:
        yield started


@pytest.fixture
def emptied(rig_of_module: Rig) -> Rig:
    """It once more, without a user; the jobs of the tests before stay in its log."""
    users = select(rig_of_module.env, "SELECT key FROM users")
    if users:
        keys = "\n".join(["Email", *(user["key"] for user in users)])
        assert rig_of_module.run(keys.encode(), "delete")["deleted"] == len(users)
    return rig_of_module


@pytest.fixture(scope="module")
def api(
    surroundings_of_session: Surroundings, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Service, Client]]:
    """One API process for many tests, with limits that a test can reach."""
    with (
        ground(surroundings_of_session) as made,
        Services(made.environ, tmp_path_factory.mktemp("api")) as services,
    ):
        service, client = services.api(body_idle_timeout_s="2", body_deadline_s="4")
        with client:
            wait_until(lambda: accounts_and_topics_are_there(client), 30)
            yield service, client


@pytest.fixture
def client(api: tuple[Service, Client]) -> Iterator[Client]:
    """Of that process, which runs on afterwards."""
    service, client = api
    yield client
    assert service.is_running


@pytest.fixture
def refusing(client: Client) -> Iterator[Client]:
    """For tests in which nothing may be kept of what is sent."""
    before = jobs(client)
    yield client
    assert jobs(client) == before


@pytest.fixture
def other(rig: Rig) -> Iterator[Client]:
    """A client of a second API process."""
    _, client = rig.services.api()
    wait_until(client.is_ready, 40)
    with client:
        yield client
