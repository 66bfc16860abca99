"""Whole installations, as a user runs them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.rig import Rig

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.services import Services
    from tests.surroundings import Ground


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
