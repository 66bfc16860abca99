"""Whole installations, as a user runs them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.rig import Rig, installation

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.services import Services
    from tests.surroundings import Ground, Surroundings


@pytest.fixture
def rig(env: Ground, services: Services) -> Iterator[Rig]:
    """An API, a publisher and one processor, ready."""
    started = Rig.start(env, services)
    yield started
    started.close()


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
