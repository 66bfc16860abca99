"""`rollcall.client`: what a program in Python does with the API, synchronously and not."""

from __future__ import annotations

import asyncio
import inspect
from typing import TYPE_CHECKING

import pytest

from rollcall.client import Account, AsyncClient, Client, RefusedError, UnreachableError
from tests.support.clients.speech import file, line
from tests.support.servers.services import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from rollcall.client import JobStatus
    from tests.support.clients.speech import Server
    from tests.support.servers.rig import Rig


@pytest.fixture(scope="module")
def account(contract_rig: Rig) -> Iterator[Account]:
    """The administrator's credentials, and a builder for undos."""
    builder = contract_rig.services.builder()
    yield Account("admin", contract_rig.env.password)
    builder.kill()


@pytest.fixture
def client(contract_rig: Rig, account: Account) -> Iterator[Client]:
    """A client of the installation."""
    with Client(contract_rig.client.url, account) as made:
        yield made


def test_a_program_imports_looks_and_undoes(client: Client, tmp_path: Path, name: str) -> None:
    """With typed answers, whose dates Python can read; a key makes one job of two calls."""
    path = tmp_path / "crm.csv"
    path.write_text(file(line(f"{name}@example.org", country=name), line("nobody")))
    tried = client.dry_run(path, mode="upsert")
    assert (tried.total, tried.insert, tried.reject) == (2, 1, 1)
    seen: list[JobStatus] = []
    job = client.import_file(path, mode="upsert", idempotency_key=name, on_progress=seen.append)
    assert (job.state, job.inserted, job.rejected) == ("COMPLETED_WITH_ERRORS", 1, 1)
    assert seen[-1].state == job.state
    assert client.submit(path, mode="upsert", idempotency_key=name) == job.id
    (error,) = client.errors(job.id)
    assert (error.line, error.code) == (3, "EMAIL_INVALID")
    (user,) = client.users(country=name)
    assert client.user(user.id).created_date_str.endswith("Z")
    assert client.proof(job.id).is_proven
    assert client.undo(job.id).state == "REVERTED"
    assert list(client.users(country=name)) == []
    assert client.redo(job.id).state == job.state
    assert next(client.jobs(mode="upsert")).id == job.id


def test_what_is_refused_says_why_to_programs(client: Client, tmp_path: Path) -> None:
    """By its code and details; what can't be reached is tried again, for as long as asked."""
    path = tmp_path / "wrong.csv"
    path.write_text("Email,Shoe Size\na@example.org,38\n")
    with pytest.raises(RefusedError) as refused:
        client.submit(path)
    assert refused.value.answer["code"] == "INVALID_REQUEST"
    assert refused.value.answer["details"][0]["code"] == "UNKNOWN_COLUMN"
    nowhere = Client(f"http://127.0.0.1:{free_port()}", Account("a", "b"), retry_for_s=0)
    with nowhere, pytest.raises(UnreachableError):
        nowhere.status("1")


def test_with_asyncio_it_is_the_same(
    contract_rig: Rig, account: Account, server: Server, tmp_path: Path, name: str
) -> None:
    """The loop goes on meanwhile."""
    path = tmp_path / "crm.csv"
    path.write_text(file(line(f"{name}@example.org", country=name)))
    ticks = 0

    async def tick() -> None:
        nonlocal ticks
        while True:
            ticks += 1
            await asyncio.sleep(0)

    async def use() -> None:
        ticking = asyncio.create_task(tick())
        async with AsyncClient(contract_rig.client.url, account) as client:
            job = await client.import_file(path, mode="insert")
            assert job.inserted == 1
            found = [user.email async for user in client.users(country=name)]
            assert found == [f"{name}@example.org"]
            assert [error async for error in client.errors(job.id)] == []
            assert (await client.undo(job.id)).state == "REVERTED"
        ticking.cancel()

    asyncio.run(use())
    assert ticks > 10
    assert server.users(country=name)["total"] == 0


def test_both_clients_do_the_same() -> None:
    """Each method of one is one of the other, with the same parameters."""
    for name, method in inspect.getmembers(Client, inspect.isfunction):
        if not name.startswith("_") and name != "close":
            other = getattr(AsyncClient, name)
            assert inspect.signature(method).parameters == inspect.signature(other).parameters
