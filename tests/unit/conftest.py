"""What unit tests of several folders share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from schemas.codec import bodies_by_fastavro, bodies_by_pyruhvro, columnar

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import ModuleType


@pytest.fixture(scope="module", params=[bodies_by_pyruhvro, bodies_by_fastavro])
def either_codec(request: pytest.FixtureRequest) -> Iterator[ModuleType]:
    """Batches are coded by pyruhvro, and then all again by fastavro, as ROLLCALL_AVRO has it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(columnar, "bodies", request.param)
        yield request.param
