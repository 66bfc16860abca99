"""Two API processes that let people in; no processor runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.servers.gate import (
    gates,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.servers.gate import Gate
    from tests.support.servers.surroundings import Surroundings


MANY = "1000000"


@pytest.fixture(scope="module")
def pair(
    surroundings_of_session: Surroundings, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[list[Gate]]:
    """Two instances of one installation, for many tests."""
    logs = tmp_path_factory.mktemp("gates")
    with gates(surroundings_of_session, logs, 2, login_failures_per_address=MANY) as opened:
        yield opened


@pytest.fixture
def gate(pair: list[Gate]) -> Iterator[Gate]:
    """One of them, which still runs afterwards."""
    yield pair[0]
    assert pair[0].service.is_running


@pytest.fixture
def other(pair: list[Gate]) -> Gate:
    """The other one."""
    return pair[1]
