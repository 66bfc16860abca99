"""Requests that concern single users, as tests of the running services make them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from schemas.codec import codec
from schemas.events import UserRow
from tests.support.clients.client import BASE
from tests.support.data.log_reading import read_topic
from tests.support.models.verdict import select

if TYPE_CHECKING:
    from collections.abc import Mapping

    import httpx2

    from tests.support.clients.client import Client, Json
    from tests.support.servers.surroundings import Ground

ANA: Json = {
    "firstName": "Ana",
    "lastName": "Silva",
    "email": "Ana@Example.org ",
    "country": "USA",
    "state": "Texas",
}
ADDED = "Details added successfully"
UPDATED = "Details updated successfully"
DELETED = "User deleted successfully"
IN_USE = "Email is being used for one of the audience members."


def create(client: Client, user: Json, key: str | None = None) -> httpx2.Response:
    """The answer to a user that is to be added."""
    return client.http.post(f"{BASE}/audience", json=user, headers=idempotent(key))


def modify(
    client: Client, user_id: str, changes: Mapping[str, Any], key: str | None = None
) -> httpx2.Response:
    """The answer to changes of a user."""
    headers = idempotent(key)
    return client.http.put(f"{BASE}/audience/{user_id}", json=changes, headers=headers)


def delete(client: Client, user_id: str) -> httpx2.Response:
    """The answer to a user that is to be deleted."""
    return client.http.post(f"{BASE}/audience/{user_id}/delete")


def idempotent(key: str | None) -> dict[str, str]:
    """The header of a retry that is safe."""
    return {} if key is None else {"Idempotency-Key": key}


def added(client: Client, user: Json, key: str | None = None) -> str:
    """The id of a user that must be added."""
    answer = create(client, user, key)
    assert answer.status_code == 200, answer.text
    assert answer.json()["message"] == ADDED
    return answer.json()["id"]


def users(env: Ground) -> list[Json]:
    """All users as SQL shows them."""
    return select(env, "SELECT * FROM users ORDER BY id")


def details(answer: httpx2.Response) -> list[tuple[str | None, str]]:
    """Fields at fault with their codes."""
    assert answer.status_code == 400, answer.text
    return [(detail["column"], detail["code"]) for detail in answer.json()["details"]]


def appended(env: Ground) -> list[UserRow]:
    """Every user row in the log."""
    events = [
        codec.decode(record.value())
        for records in read_topic(env.settings, env.settings.topics.user_events)
        for record in records
    ]
    return [event for event in events if isinstance(event, UserRow)]


def define(client: Client, name: str, kind: str = "string", **further: bool) -> httpx2.Response:
    """The answer to an attribute that is to be defined."""
    body = {"name": name, "type": kind, **further}
    return client.http.post(f"{BASE}/admin/attributes", json=body)


def history(client: Client, user_id: str, **query: int) -> Json:
    """What made the user."""
    answer = client.http.get(f"{BASE}/audience/{user_id}/history", params=query)
    assert answer.status_code == 200, answer.text
    return answer.json()


def accepted(answer: httpx2.Response) -> httpx2.Response | None:
    """The answer where it is 200."""
    return answer if answer.status_code == 200 else None
