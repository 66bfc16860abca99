"""What an import costs in memory."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.clients.client import counts
from tests.support.data.files import tidy_csv

if TYPE_CHECKING:
    from tests.support.servers.rig import Rig
    from tests.support.servers.services import Service

_API_BYTES = 300_000_000
_PROCESSOR_BYTES = 500_000_000


def test_memory_does_not_grow_with_the_file(rig: Rig) -> None:
    """A file three times as long takes no more of it."""
    assert counts(rig.run(tidy_csv(range(250_000)), "upsert"))[0] == 250_000
    processes = (rig.api, rig.publisher, rig.processors[0])
    before = [_peak_bytes(service) for service in processes]
    status = rig.run(tidy_csv(range(250_000, 1_000_000)), "upsert")
    assert counts(status) == (750_000, 0, 0, 0)
    after = [_peak_bytes(service) for service in processes]
    assert after[0] <= _API_BYTES
    assert after[2] <= _PROCESSOR_BYTES
    growth = [late - early for early, late in zip(before, after, strict=True)]
    assert max(growth) <= 60_000_000, (before, after)


def _peak_bytes(service: Service) -> int:
    try:
        status = Path(f"/proc/{service.pid}/status").read_text()
    except FileNotFoundError:
        pytest.skip("this system does not tell the peak memory of a process")
    peak = next(line for line in status.splitlines() if line.startswith("VmHWM:"))
    return int(peak.split()[1]) * 1024
