"""Imports come to the same where ROLLCALL_AVRO leaves pyruhvro out."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import psutil

from tests.support.clients.client import counts
from tests.support.data.files import dirty_csv, tidy_csv
from tests.support.servers.rig import installation

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.servers.surroundings import Surroundings


def test_an_import_by_fastavro_comes_to_the_same(
    surroundings_of_session: Surroundings, tmp_path: Path
) -> None:
    """The counts and users of each mode are the model's, and no process has loaded pyruhvro."""
    with installation(surroundings_of_session, tmp_path, avro="fastavro") as rig:
        assert counts(rig.run(tidy_csv(range(500)), "insert")) == (500, 0, 0, 0)
        assert counts(rig.run(tidy_csv(range(400, 600), word="b"), "upsert")) == (100, 100, 0, 0)
        rng = random.Random(1)
        for mode in ("upsert", "delsert"):
            status = rig.run(dirty_csv(rng, 1000, keys=1500), mode)
            assert sum(counts(status)) == status["total"] == 1000
        rig.assert_as_modelled()
        for service in rig.services.started:
            maps = psutil.Process(service.process.pid).memory_maps()
            assert not [each.path for each in maps if "pyruhvro" in each.path], service.name
