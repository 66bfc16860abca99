"""A log and a database that an earlier version wrote are gone on from, and nothing is lost."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, cast

import pytest

from schemas.read_model.tables import VERSION
from tests.support.checkout import CHECKOUT
from tests.support.clients.projections import active, assert_proven
from tests.support.data import kept_sample
from tests.support.data.kept_sample import Sample, answers, load
from tests.support.models.verdict import select
from tests.support.servers.rig import Rig
from tests.support.servers.services import Services
from tests.support.servers.surroundings import ground

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.servers.surroundings import Ground, Surroundings

_SAMPLES = sorted(CHECKOUT.joinpath("tests/samples").iterdir())
_FILE = b"First Name,Last Name,Email,Country\nNew,One,new@example.com,Peru\n"


@pytest.fixture(params=_SAMPLES, ids=lambda folder: folder.name)
def sample(request: pytest.FixtureRequest) -> Sample:
    """Each sample that is kept."""
    return Sample(request.param)


@pytest.fixture
def kept(surroundings_of_session: Surroundings, sample: Sample) -> Iterator[Ground]:
    """Kafka and Postgres as the sample's version left them."""
    with ground(surroundings_of_session, **kept_sample.SETTINGS) as env:
        load(sample, env)
        yield env


def missing(then: Any, now: Any, place: str = "") -> list[str]:
    """What was answered then and is not now; an answer may have further fields."""
    if isinstance(then, dict) and isinstance(now, dict):
        fields, found = cast("dict[str, Any]", then), cast("dict[str, Any]", now)
        return [each for name in fields for each in missing(fields[name], found.get(name), name)]
    if isinstance(then, list) and isinstance(now, list):
        before, after = cast("list[Any]", then), cast("list[Any]", now)
        if len(before) == len(after):
            pairs = enumerate(zip(before, after, strict=True))
            return [each for at, pair in pairs for each in missing(*pair, f"{place}.{at}")]
    return [] if then == now else [f"{place}: {json.dumps(then)} is now {json.dumps(now)}"]


def test_an_earlier_versions_log_and_tables_are_gone_on_from(
    kept: Ground, sample: Sample, tmp_path: Path
) -> None:
    """The answers are as then, a new import works on top, and the log proves the tables.

    Tables of the same version are used as they are, not made again; those of an earlier one
    are read until the builder has made new ones.
    """
    before = active(kept)
    count = len(select(kept, "SELECT number FROM projection_instance"))
    with Services(kept.environ, tmp_path) as services:
        rig = Rig.start(kept, services)
        try:
            if before["version"] == VERSION:
                assert active(kept)["number"] == before["number"]
                assert len(select(kept, "SELECT number FROM projection_instance")) == count
            expected = sample.expected
            assert missing(expected, answers(rig, list(expected))) == []
            services.builder()
            done = rig.run(_FILE)
            assert (done["state"], done["inserted"]) == ("COMPLETED", 1)
            assert_proven(kept)
            services.assert_running()
        finally:
            rig.close()
