"""Single users added, changed and deleted over HTTP, visible as soon as they are answered."""

from __future__ import annotations

import itertools
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import httpx2
import psycopg
from argon2 import PasswordHasher

from tests.support.clients.client import BASE, Client
from tests.support.clients.single_users import (
    ANA,
    DELETED,
    IN_USE,
    UPDATED,
    accepted,
    added,
    appended,
    create,
    define,
    delete,
    details,
    history,
    modify,
    users,
)
from tests.support.clients.speech import UNKNOWN_USER
from tests.support.data.files import tidy_csv
from tests.support.models.verdict import select
from tests.support.servers.breaking import frozen, killed, restart
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from deploy.local_stack.stack import LocalStack
    from tests.support.clients.client import Json
    from tests.support.servers.rig import Rig
    from tests.support.servers.services import Services
    from tests.support.servers.surroundings import Ground


def sent(client: Client, body: bytes, media_type: str) -> httpx2.Response:
    """The answer to a body that says to be of this type."""
    headers = {"Content-Type": media_type}
    return client.http.post(f"{BASE}/audience", content=body, headers=headers)


def test_a_user_is_there_as_soon_as_it_is_answered(rig: Rig) -> None:
    """Added, changed and deleted, each seen by SQL at once, in the contract's words."""
    user_id = added(rig.client, ANA)
    [user] = users(rig.env)
    assert (str(user["id"]), user["key"], user["email"]) == (
        user_id,
        "ana@example.org",
        "Ana@Example.org",
    )
    assert user["last_active_date"] == user["created_at"].date()
    assert user["sms_subscription"] is True
    changes: Json = {"firstName": "Anna", "mobileNumber": "+1 (415) 555-0123"}
    answer = modify(rig.client, user_id, changes)
    assert (answer.status_code, answer.json()) == (200, {"id": user_id, "message": UPDATED})
    [user] = users(rig.env)
    assert [user[name] for name in ("first_name", "last_name", "mobile_number")] == [
        "Anna",
        "Silva",
        "+14155550123",
    ]
    changes = {"mobileNumber": None, "smsSubscription": False, "email": "ANA@example.org"}
    assert modify(rig.client, user_id, changes).status_code == 200
    [user] = users(rig.env)
    assert (user["mobile_number"], user["sms_subscription"]) == (None, False)
    assert (user["key"], user["email"]) == ("ana@example.org", "ANA@example.org")
    answer = delete(rig.client, user_id)
    assert (answer.status_code, answer.json()) == (200, {"id": user_id, "message": DELETED})
    assert users(rig.env) == []


def test_what_no_user_may_be_is_refused_and_not_appended(rig: Rig) -> None:
    """By field, with the codes of files; what the body as such does wrong likewise."""
    user_id = added(rig.client, ANA)
    before = len(appended(rig.env))
    answer = create(rig.client, {"email": "a@", "country": "usa", "firstName": "A"})
    assert answer.json()["message"] == "Invalid audience member details"
    assert details(answer) == [
        ("email", "EMAIL_INVALID"),
        ("lastName", "REQUIRED"),
        ("state", "STATE_REQUIRED"),
    ]
    assert details(create(rig.client, ANA | {"nickname": "A"})) == [("nickname", "UNKNOWN_FIELD")]
    assert details(create(rig.client, ANA | {"firstName": 7})) == [("firstName", "VALUE_INVALID")]
    assert details(sent(rig.client, b"{", "application/json")) == [(None, "JSON_INVALID")]
    assert sent(rig.client, b"{}", "text/plain").status_code == 415
    assert create(rig.client, ANA | {"lastName": "x" * 70_000}).status_code == 413
    assert details(modify(rig.client, user_id, {"lastName": None})) == [("lastName", "REQUIRED")]
    answer = modify(rig.client, user_id, {"email": "eve@example.org"})
    assert details(answer) == [("email", "KEY_CHANGED")]
    assert "add a user with the new one" in answer.json()["details"][0]["message"]
    assert details(create(rig.client, ANA, "a\tb")) == [("Idempotency-Key", "INVALID_PARAMETER")]
    for unknown in ("7", "seven", "\u0665", str(2**64), str(int(user_id) + 1)):
        for answer in (modify(rig.client, unknown, {"state": "Goa"}), delete(rig.client, unknown)):
            assert (answer.status_code, answer.json()) == (400, UNKNOWN_USER)
    assert len(appended(rig.env)) == before
    answer = create(rig.client, ANA | {"email": "ANA@example.ORG"})
    assert answer.json()["message"] == IN_USE
    assert details(answer) == [("email", "KEY_EXISTS")]
    assert modify(rig.client, user_id, {}).status_code == 200
    assert len(users(rig.env)) == 1


def test_roles_say_who_may_write(rig: Rig) -> None:
    """A reader may not; an importer adds and changes; an administrator deletes."""
    user_id = added(rig.client, ANA)
    clients = {role: client_as(rig, role) for role in ("reader", "importer")}
    reader, importer = clients["reader"], clients["importer"]
    answers = [create(reader, ANA), modify(reader, user_id, {}), delete(reader, user_id)]
    answers.append(define(reader, "tier"))
    answers += [delete(importer, user_id), define(importer, "tier")]
    assert [answer.status_code for answer in answers] == [403] * 6
    assert "admin" in answers[-1].json()["message"]
    assert modify(importer, user_id, {"state": "Ohio"}).status_code == 200
    assert reader.http.get(f"{BASE}/admin/attributes").status_code == 200
    assert history(reader, user_id)["total"] == 2
    for client in clients.values():
        client.close()


def client_as(rig: Rig, role: str) -> Client:
    """A client whose account has this role."""
    with psycopg.connect(rig.env.conninfo, autocommit=True) as connection:
        connection.execute(
            "INSERT INTO rollcall_api.account (name, role, password_hash) VALUES (%s, %s, %s)",
            (role, role, PasswordHasher(1, 8, 1).hash("password")),
        )
    client = Client(rig.client.url, "password")
    client.http.auth = httpx2.BasicAuth(role, "password")
    return client


def test_a_retry_with_its_idempotency_key_adds_one_user(rig: Rig, other: Client) -> None:
    """From any instance, and at once; another request with that key is refused."""
    user_id = added(rig.client, ANA, "first")
    assert added(rig.client, ANA, "first") == user_id
    assert added(other, ANA, "first") == user_id
    answer = create(other, ANA | {"firstName": "Eve"}, "first")
    assert answer.status_code == 409
    assert delete(other, user_id).status_code == 200
    assert added(other, ANA, "first") == user_id
    assert len(appended(rig.env)) == 2
    bob = ANA | {"email": "bob@example.org"}
    with ThreadPoolExecutor(8) as pool:
        tries = [pool.submit(added, client, bob, "bob") for client in [rig.client, other] * 4]
        ids = {attempt.result(60) for attempt in tries}
    assert [str(user["id"]) for user in users(rig.env)] == list(ids)
    [bob_id] = ids
    change = {"state": "Ohio"}
    assert modify(rig.client, bob_id, change, "move").status_code == 200
    assert modify(other, bob_id, {"state": "Utah"}).status_code == 200
    assert modify(other, bob_id, change, "move").status_code == 200
    assert users(rig.env)[0]["state"] == "Utah"
    # A refusal is an outcome, too.
    assert create(rig.client, bob, "again").status_code == 400
    assert create(other, bob, "again").status_code == 400
    assert create(other, bob, "first").status_code == 409


def test_two_instances_write_one_user(rig: Rig, other: Client) -> None:
    """Each sees what the other was answered, and of two equal keys one is refused."""
    for number in range(20):
        user = ANA | {"email": f"user{number}@example.org"}
        with ThreadPoolExecutor(2) as pool:
            answers = list(pool.map(create, (rig.client, other), (user, user)))
        assert sorted(answer.status_code for answer in answers) == [200, 400]
    for user in users(rig.env):
        assert modify(other, str(user["id"]), {"state": "Ohio"}).status_code == 200
        assert delete(rig.client, str(user["id"])).status_code == 200
        assert delete(other, str(user["id"])).status_code == 400
    assert users(rig.env) == []


def test_a_user_that_was_replaced_is_left_alone(rig: Rig) -> None:
    """Its id is another user's key by now: the answer is that it is unknown."""
    user_id = added(rig.client, ANA)
    rig.run(b"First Name,Last Name,Email,Country\nAda,L,ana@example.org,India\n", "delsert")
    assert modify(rig.client, user_id, {"firstName": "Eve"}).json() == UNKNOWN_USER
    assert delete(rig.client, user_id).json() == UNKNOWN_USER
    assert [user["first_name"] for user in users(rig.env)] == ["Ada"]


def test_without_a_processor_the_answer_is_503_and_the_write_is_applied_once(
    env: Ground, services: Services
) -> None:
    """It says that the write is in the log; a retry with the same key changes nothing."""
    _, client = services.api(write_timeout_s="1")
    with client:
        answer = wait_until(lambda: kept(create(client, ANA, "first")), 40)
        assert answer is not None
        assert answer.status_code == 503
        assert int(answer.headers["Retry-After"]) > 0
        assert "is in the log and will be applied" in answer.json()["message"]
        assert create(client, ANA, "first").status_code == 503
        services.processor()
        wait_until(lambda: accepted(create(client, ANA, "first")), 40)
        assert [str(user["id"]) for user in users(env)] == [added(client, ANA, "first")]
        assert len({row.event_id for row in appended(env)}) == 1
        assert answer.json()["eventId"] == appended(env)[0].event_id


def kept(answer: httpx2.Response) -> httpx2.Response | None:
    """The answer, unless the services were not up yet."""
    return None if "othing was kept" in answer.text else answer


def test_processor_killed_during_writes(rig: Rig) -> None:
    """Each write that was answered is there once, and each that was not may be retried."""

    def write(number: int) -> str:
        user = ANA | {"email": f"user{number}@example.org"}
        answer = create(rig.client, user, f"write {number}")
        while answer.status_code == 503:
            answer = create(rig.client, user, f"write {number}")
        assert answer.status_code == 200, answer.text
        return answer.json()["id"]

    with ThreadPoolExecutor(20) as pool:
        writes = [pool.submit(write, number) for number in range(400)]
        for share in (50, 150, 300):
            wait_until(lambda: sum(one.done() for one in writes) >= share, 60)  # noqa: B023 - called at once
            rig.processors[0].kill()
            rig.restart_processor()
        ids = {one.result(120) for one in writes}
    assert len(ids) == 400
    assert {str(user["id"]) for user in users(rig.env)} == ids
    rig.services.assert_running()


def test_api_killed_during_writes(rig: Rig) -> None:
    """What was answered is there; what was not is there whole or not at all, and once retried."""

    def write(number: int) -> str | None:
        user = ANA | {"email": f"user{number}@example.org"}
        with Client(rig.client.url, rig.env.password) as client:
            try:
                return added(client, user, f"write {number}")
            except httpx2.TransportError:
                return None

    with ThreadPoolExecutor(20) as pool:
        writes = [pool.submit(write, number) for number in range(200)]
        wait_until(lambda: sum(one.done() for one in writes) >= 40, 60)
        rig.api.kill()
        answered = [one.result(60) for one in writes]
    assert None in answered
    rig.restart_api()
    for row in appended(rig.env):
        assert (row.first_name, row.country, row.state) == ("Ana", "USA", "Texas")
    with ThreadPoolExecutor(20) as pool:
        retried = list(pool.map(write, range(200)))
    assert all(before in {None, after} for before, after in zip(answered, retried, strict=True))
    assert {str(user["id"]) for user in users(rig.env)} == set(retried)
    assert len(set(retried)) == 200


def test_writes_while_kafka_is_down_are_refused_and_leave_nothing(
    rig: Rig, stack: LocalStack
) -> None:
    """503 with Retry-After, and it says that nothing was kept."""
    user_id = added(rig.client, ANA)
    with killed(stack.kafka):
        wait_until(lambda: "nothing was kept" in delete(rig.client, user_id).text, 20)
        answer = create(rig.client, ANA | {"email": "bob@example.org"})
    assert answer.status_code == 503
    assert int(answer.headers["Retry-After"]) > 0
    assert "nothing was kept" in answer.json()["message"]
    rig.wait_ready()
    added(rig.client, ANA | {"email": "eve@example.org"})
    keys = [user["key"] for user in users(rig.env)]
    assert "bob@example.org" not in keys
    assert "eve@example.org" in keys


def test_a_write_that_kafka_does_not_confirm_is_in_doubt_until_it_is_retried(
    rig: Rig, stack: LocalStack
) -> None:
    """503 says so; the retry with its key finds or makes the one user."""
    bob = ANA | {"email": "bob@example.org"}
    numbers = itertools.count()

    def is_in_doubt() -> bool:
        """Kafka was heard of so lately that the record is sent; else False: nothing was kept."""
        rig.wait_ready()
        ana = ANA | {"email": f"ana-{next(numbers)}@example.org"}
        wait_until(lambda: accepted(create(rig.client, ana)), 60)
        with frozen(stack.kafka.child.pid):
            answer = create(rig.client, bob, "bob")
        assert answer.status_code == 503
        return "not known whether it will be applied" in answer.json()["message"]

    wait_until(is_in_doubt, 300, saying="a write is in doubt")
    wait_until(lambda: accepted(create(rig.client, bob, "bob")), 60)
    user_id = added(rig.client, bob, "bob")
    assert [str(user["id"]) for user in users(rig.env) if user["email"] == bob["email"]] == [
        user_id
    ]
    rig.services.assert_running()


def test_a_user_added_during_a_delsert_is_answered_when_it_is_shown(rig: Rig) -> None:
    """It belongs to the new audience, which readers see when it is whole; a retry waits, too."""
    rig.run(tidy_csv(range(10)))
    before = rig.published()
    job_id = rig.submit(tidy_csv(range(60_000), word="b"), "delsert")
    rig.publish_in_part(before + 10_000)

    def is_read_once_answered() -> bool:
        answer = create(rig.client, ANA, "ana")
        user = f"{BASE}/audience/{answer.json().get('id')}"
        return answer.status_code == 503 or rig.client.http.get(user).status_code == 200

    with ThreadPoolExecutor(2) as pool:
        answer = pool.submit(create, rig.client, ANA, "ana")
        wait_until(lambda: select(rig.env, "SELECT outcome FROM write_outcomes"), 30)
        assert len(users(rig.env)) == 10
        # Where all of this took the machine longer than a request waits, it is told to ask again.
        assert not answer.done() or answer.result().status_code == 503
        retried = pool.submit(is_read_once_answered)
        rig.publisher.thaw()
        assert accepted(answer.result(60)) or wait_until(
            lambda: accepted(create(rig.client, ANA, "ana")), 60
        )
        assert retried.result(60)
    user_id = added(rig.client, ANA, "ana")
    assert rig.client.status(job_id)["state"] == "COMPLETED"
    assert select(rig.env, f"SELECT email FROM users WHERE id = {user_id}")


def test_postgres_restarted_between_writes(rig: Rig, stack: LocalStack) -> None:
    """Outcomes are listened for again by itself."""
    added(rig.client, ANA)
    restart(stack.postgres)
    bob = ANA | {"email": "bob@example.org"}
    wait_until(lambda: accepted(create(rig.client, bob, "bob")), 40)
    assert len(users(rig.env)) == 2
