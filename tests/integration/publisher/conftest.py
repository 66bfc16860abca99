"""A log, and publishers of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.clients.published_log import World
from tests.support.servers.services import Services

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.servers.surroundings import Ground


@pytest.fixture
def world(env: Ground, tmp_path: Path) -> Iterator[World]:
    """Topics, and processes that are gone at the end."""
    with Services(env.environ, tmp_path) as services:
        yield World(env, services)
        services.assert_running()
