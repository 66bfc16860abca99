"""One installation for all of the contract, and clients of each role."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

import pytest

from tests.support.clients.speech import BASE, Server
from tests.support.servers.rig import installation

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.servers.rig import Rig
    from tests.support.servers.surroundings import Surroundings


@pytest.fixture(scope="package")
def contract_rig(
    surroundings_of_session: Surroundings, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Rig]:
    """An API, a publisher and one processor."""
    with installation(surroundings_of_session, tmp_path_factory.mktemp("logs")) as rig:
        yield rig


@pytest.fixture(scope="package")
def server(contract_rig: Rig) -> Iterator[Server]:
    """As the administrator speaks to it."""
    with Server(contract_rig.client.url, ("admin", contract_rig.env.password)) as made:
        yield made


@pytest.fixture(scope="package")
def stranger(contract_rig: Rig) -> Iterator[Server]:
    """As somebody without credentials speaks to it."""
    with Server(contract_rig.client.url, None) as made:
        yield made


def _account(server: Server, role: str) -> tuple[str, str]:
    name, password = f"{role}-{secrets.token_hex(3)}", secrets.token_urlsafe(12)
    body = {"name": name, "role": role, "password": password}
    answer = server.http.post(f"{BASE}/admin/accounts", json=body)
    assert answer.status_code == 200, answer.text
    return name, password


@pytest.fixture(scope="package")
def importer(server: Server) -> Iterator[Server]:
    """As an account of this role speaks to it."""
    with Server(str(server.http.base_url), _account(server, "importer")) as made:
        yield made


@pytest.fixture(scope="package")
def reader(server: Server) -> Iterator[Server]:
    """As an account of this role speaks to it."""
    with Server(str(server.http.base_url), _account(server, "reader")) as made:
        yield made


@pytest.fixture
def name(request: pytest.FixtureRequest) -> str:
    """A text that no other test uses, for addresses of users."""
    return f"n{abs(hash(request.node.nodeid)):x}-{secrets.token_hex(3)}"
