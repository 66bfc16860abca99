"""The log read again: rebuild, verification, undo, an audience of the past, in seconds."""

import json
import time
from collections.abc import Generator
from pathlib import Path
from typing import Any

import click

from processor.verification.verify import verify_active
from tests.bench.exports import diff_s
from tests.bench.services import READY_TIMEOUT_S, Installation

_POLL_S = 0.05
_ENDED = {"active", "ready", "failed", "dropped"}


def measured_looks_back(
    installed: Installation, files: tuple[Path, Path, Path], processors: int
) -> Generator[tuple[str, int, float]]:
    """What was done, over how many events, and its seconds.

    `files` are two editions of the same users, and some of these once more, which are undone.
    """
    installed.start_api_and_publisher()
    installed.start_processors(processors)
    installed.start_builder()
    client = installed.client
    client.wait_ready(READY_TIMEOUT_S)
    rows = _import(installed, files[0], "insert")
    installed.checkpoint()
    yield "rebuild", rows, _rebuild_s(installed)
    yield "verify", rows, _verify_s(installed)
    before = _last_job(installed)
    rows += _import(installed, files[1], "upsert")
    job_id, some = _import_as_job(installed, files[2], "upsert")
    installed.checkpoint()
    yield "diff as CSV", rows, diff_s(installed, before)
    yield f"undo of {some:,} rows", rows + some, _undo_s(installed, job_id)


def _last_job(installed: Installation) -> str:
    return json.loads(installed.client.get("/batchinfo/status?pageSize=1"))["statuses"][0]["id"]


def _import(installed: Installation, file: Path, mode: str) -> int:
    return _import_as_job(installed, file, mode)[1]


def _import_as_job(installed: Installation, file: Path, mode: str) -> tuple[str, int]:
    _, status = installed.client.import_file(file, mode, poll_s=_POLL_S)
    return status["id"], int(status["total"])


def _rebuild_s(installed: Installation) -> float:
    begin = time.perf_counter()
    answer = installed.client.post("/admin/projections", {"purpose": "rebuild"})
    number = json.loads(answer)["number"]
    while (found := _instance(installed, number))["state"] not in _ENDED:
        time.sleep(_POLL_S)
    if found["state"] != "active":
        message = f"the rebuild came to {found}"
        raise click.ClickException(message)
    return time.perf_counter() - begin


def _instance(installed: Installation, number: int) -> dict[str, Any]:
    return json.loads(installed.client.get(f"/admin/projections/{number}"))


def _verify_s(installed: Installation) -> float:
    begin = time.perf_counter()
    found = verify_active(installed.settings)
    if not found.is_proven:
        message = f"the verification found {found.findings}"
        raise click.ClickException(message)
    return time.perf_counter() - begin


def _undo_s(installed: Installation, job_id: str) -> float:
    """From the request until readers see the audience without the job."""
    begin = time.perf_counter()
    installed.client.post(f"/batchinfo/undo/{job_id}", {})
    while installed.client.status(job_id)["state"] != "REVERTED":
        time.sleep(_POLL_S)
    return time.perf_counter() - begin
