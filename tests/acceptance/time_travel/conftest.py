"""Installations that build tables besides."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.support.servers.rig import Rig
    from tests.support.servers.services import Service


@pytest.fixture(scope="module")
def builder_of_module(rig_of_module: Rig) -> Service:
    """The process that makes tables without a job, for the tests of a module."""
    return rig_of_module.services.builder()


@pytest.fixture
def emptied_beside_builder(emptied: Rig, builder_of_module: Service) -> Rig:
    """The installation of the module, without a user, and its builder."""
    assert builder_of_module.is_running
    return emptied
