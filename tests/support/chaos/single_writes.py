"""A client that adds, changes and deletes single users, and reads each after its answer.

A write is sent again with the same ``Idempotency-Key``, to any process, until it is answered.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from tests.support.chaos.clients import RETRIED, try_answer
from tests.support.clients.client import BASE
from tests.support.clients.single_users import ANA, create, delete, modify

if TYPE_CHECKING:
    from collections.abc import Callable

    import httpx2

    from tests.support.chaos.clients import Doors
    from tests.support.clients.client import Client


def write_users(doors: Doors) -> None:
    """Add a user, maybe change and delete them."""
    number, report = next(doors.scene.asked), doors.scene.report
    key, email = f"single {number}", f"single{number}@example.org"

    def add(client: Client) -> httpx2.Response:
        return create(client, {**ANA, "email": email}, key)

    asked_at = datetime.now(UTC)
    answer = _answer(doors, add, report.added)
    if answer is None:
        return
    assert answer.status_code == 200, f"{email} not added: {answer.text}"
    user_id = answer.json()["id"]
    _read(doors, f"{email} added", asked_at, user_id, lambda user: user["email"] == email)
    if doors.rng.random() < 0.3:
        again = _answer(doors, add)
        assert again is None or again.json() == answer.json(), f"{answer.text}, then {again}"
    if doors.rng.random() < 0.5:
        _change(doors, key, email, user_id)


def _change(doors: Doors, key: str, email: str, user_id: str) -> None:
    """Change the user, maybe delete them; a delsert may have done that before."""
    asked_at, names = datetime.now(UTC), {"firstName": "Eva"}
    answer = _answer(doors, lambda client: modify(client, user_id, names, f"{key} changed"))
    if answer is None or answer.status_code != 200:
        return
    _read(doors, f"{email} changed", asked_at, user_id, lambda user: user["firstName"] == "Eva")
    told = _ask_once(doors, f"{BASE}/audience/{user_id}/history")
    if told is not None and told.status_code == 200:
        doors.scene.seen.history(email, told.json()["history"], ["created", "updated"])
    if doors.rng.random() < 0.6:
        asked_at = datetime.now(UTC)
        answer = _answer(doors, lambda client: delete(client, user_id))
        if answer is not None and answer.status_code == 200:
            _read(doors, f"{email} deleted", asked_at, user_id, lambda user: user is None)


def _answer(
    doors: Doors,
    ask: Callable[[Client], httpx2.Response],
    tell: Callable[[float], None] = lambda _asked_s: None,
) -> httpx2.Response | None:
    """Ask any process until one answers for good, and tell when that was asked; None at the end."""
    while not doors.scene.over.is_set():
        client, asked_s = doors.any(), time.monotonic()
        answer = try_answer(lambda: ask(client))  # noqa: B023 - called at once
        if answer is not None and answer.status_code not in RETRIED:
            if answer.status_code == 200:
                tell(asked_s)
            return answer
        time.sleep(doors.rng.uniform(0, 0.3))
    return None


def _read(
    doors: Doors, what: str, asked_at: datetime, user_id: str, is_so: Callable[[Any], bool]
) -> None:
    answer = _ask_once(doors, f"{BASE}/audience/{user_id}")
    if answer is None or answer.status_code in RETRIED:
        return
    user = answer.json() if answer.status_code == 200 else None
    is_seen = is_so(user) if user is not None or "deleted" in what else False
    doors.scene.seen.wrote(f"{what}: {answer.text}", asked_at, is_seen=is_seen)


def _ask_once(doors: Doors, path: str) -> httpx2.Response | None:
    client = doors.any()
    return try_answer(lambda: client.http.get(path))
