"""Contract, Users."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.support.clients.speech import BASE, DATE, ID, NO_SUCH_IDS, UNKNOWN_USER, file, line

if TYPE_CHECKING:
    import httpx2

    from tests.support.clients.speech import Server

AUDIENCE = f"{BASE}/audience"
USER = {"firstName": "Ada", "lastName": "Lovelace", "country": "India"}
NAMES = {
    "id",
    "firstName",
    "lastName",
    "email",
    "mobileNumber",
    "country",
    "state",
    "active",
    "smsSubscription",
    "emailSubscription",
    "voiceSubscription",
    "lastActiveDateStr",
    "createdDateStr",
    "lastModifiedDateStr",
    "attributes",
}


def test_a_user_is_shown_with_the_contracts_names(server: Server, name: str) -> None:
    """The id a decimal in a string, the dates in the contract's form."""
    server.imported(file(line(f"{name}@example.org", mobile_number="+14155550123", state="Goa")))
    page = server.users(email=f"{name}@example.org")
    assert set(page) == {"total", "audience"}
    user = page["audience"][0]
    assert set(user) == NAMES
    assert ID.fullmatch(user["id"])
    assert int(user["id"]) < 2**63
    for key in ("lastActiveDateStr", "createdDateStr", "lastModifiedDateStr"):
        assert DATE.fullmatch(user[key]), key
    expected: dict[str, Any] = {
        "firstName": "Ada",
        "lastName": "Lovelace",
        "email": f"{name}@example.org",
        "mobileNumber": "+14155550123",
        "country": "India",
        "state": "Goa",
        "active": True,
        "attributes": {},
    }
    assert {key: user[key] for key in expected} == expected


def test_users_are_paged_by_index_and_by_key(server: Server, name: str) -> None:
    """In one stable order, each user once."""
    lines = [line(f"{number}-{name}@example.org") for number in range(45)]
    server.imported(file(*lines), "delsert")
    assert len(server.users()["audience"]) == 20
    by_index = [
        user["id"]
        for start in range(0, 60, 20)
        for user in server.users(start=start, pageSize=20)["audience"]
    ]
    assert len(set(by_index)) == len(by_index) == 45
    by_key: list[str] = []
    while page := server.users(pageSize=10, **({"after": by_key[-1]} if by_key else {}))[
        "audience"
    ]:
        by_key += [user["id"] for user in page]
    assert by_key == by_index
    whole = server.users(pageSize=1000)
    assert (whole["total"], [user["id"] for user in whole["audience"]]) == (45, by_index)
    assert server.users(start=10**9) == {"total": 45, "audience": []}


@pytest.mark.parametrize(
    "query",
    ["start=-1", "start=x", "pageSize=0", "pageSize=1001", "after=x", "after=-1"],
)
def test_a_page_that_cannot_be_is_refused(server: Server, query: str) -> None:
    """400, with what would be right."""
    answer = server.http.get(f"{AUDIENCE}?{query}")
    assert answer.status_code == 400
    assert answer.json()["details"][0]["column"] == query.split("=", maxsplit=1)[0]


def test_users_can_be_filtered(server: Server, name: str) -> None:
    """By email, mobile number, country and state; `total` counts what is found."""
    number = "+1415" + "".join(str(ord(character) % 10) for character in name[-7:])
    land = f"Land of {name}"
    email = f"{name}@example.org"
    server.imported(
        file(
            line(email, mobile_number=number, country=land, state="Goa"),
            line(f"b{email}", country=land, state="Kerala"),
        )
    )

    def emails(**filters: str) -> set[str]:
        page = server.users(**filters)
        found = {user["email"] for user in page["audience"]}
        assert page["total"] == len(found)
        return found

    assert emails(email=email) == {email}
    assert emails(email=f" {email.upper()} ") == {email}
    assert emails(mobileNumber=number) == {email}
    assert emails(country=land) == {email, f"b{email}"}
    assert emails(country=land, state="Kerala") == {f"b{email}"}
    assert emails(email=email, country="Elsewhere") == set()


def test_a_new_user_is_seen_by_whoever_read_the_answer(server: Server, name: str) -> None:
    """The answer waits for the projection, and says the contract's words."""
    body = USER | {"email": f"{name}@example.org"}
    answer = server.http.post(AUDIENCE, json=body)
    assert answer.status_code == 200, answer.text
    user_id = answer.json()["id"]
    assert answer.json() == {"id": user_id, "message": "Details added successfully"}
    assert ID.fullmatch(user_id)
    one = server.http.get(f"{AUDIENCE}/{user_id}")
    assert one.status_code == 200
    assert one.json() == server.user(body["email"])
    assert set(one.json()) == NAMES
    assert {key: one.json()[key] for key in body} == body


WHOLE = {
    "firstName": "Zoë",
    "lastName": "Okafor",
    "mobileNumber": "+14155550199",
    "country": "USA",
    "state": "Texas",
    "smsSubscription": True,
    "emailSubscription": False,
    "voiceSubscription": True,
}


def test_a_new_user_may_have_every_field(server: Server, name: str) -> None:
    """As it is shown."""
    body = WHOLE | {"email": f"{name}@example.org", "lastActiveDate": "08/28/2017"}
    user_id = server.created(**body)
    found = server.http.get(f"{AUDIENCE}/{user_id}").json()
    assert {key: found[key] for key in WHOLE} == WHOLE
    assert found["lastActiveDateStr"] == "08/28/2017 12:00:00 AM GMT"


def assert_refused(answer: httpx2.Response, column: str) -> None:
    """400, and the field is named."""
    assert answer.status_code == 400, answer.text
    assert answer.json()["message"]
    assert column in {detail["column"] for detail in answer.json()["details"]}


@pytest.mark.parametrize("field", ["firstName", "lastName", "email", "country"])
@pytest.mark.parametrize("value", ["", " ", None, "missing"])
def test_what_is_required_of_a_new_user(
    server: Server, name: str, field: str, value: str | None
) -> None:
    """Empty, blank, null or missing."""
    body: dict[str, Any] = USER | {"email": f"{name}@example.org"} | {field: value}
    if value == "missing":
        del body[field]
    assert_refused(server.http.post(AUDIENCE, json=body), field)
    assert server.user(f"{name}@example.org") is None


def test_a_state_is_required_of_a_new_user_in_the_usa(server: Server, name: str) -> None:
    """And only there."""
    body = USER | {"email": f"{name}@example.org", "country": "USA"}
    assert_refused(server.http.post(AUDIENCE, json=body), "state")
    assert server.http.post(AUDIENCE, json=body | {"state": "Ohio"}).status_code == 200


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("email", "no address"),
        ("email", 5),
        ("mobileNumber", "12"),
        ("lastActiveDate", "02/30/2020"),
        ("smsSubscription", "perhaps"),
        ("firstName", "x" * 256),
        ("nickname", "Ada"),
    ],
)
def test_a_value_that_breaks_its_rule_is_refused(
    server: Server, name: str, field: str, value: object
) -> None:
    """As is a field that there isn't."""
    body = USER | {"email": f"{name}@example.org"} | {field: value}
    assert_refused(server.http.post(AUDIENCE, json=body), field)


@pytest.mark.parametrize(
    ("content", "headers", "status"),
    [
        (b"{", {"Content-Type": "application/json"}, 400),
        (b"[]", {"Content-Type": "application/json"}, 400),
        (b"", {"Content-Type": "application/json"}, 400),
        (b"{}", {"Content-Type": "text/plain"}, 415),
        (b"{}", {}, 415),
        (b" " * 70_000, {"Content-Type": "application/json"}, 413),
    ],
)
@pytest.mark.parametrize("method", ["POST", "PUT"])
def test_a_body_that_is_none_is_refused(
    server: Server, method: str, content: bytes, headers: dict[str, str], status: int
) -> None:
    """By its syntax, its type or its size."""
    path = AUDIENCE if method == "POST" else f"{AUDIENCE}/1"
    answer = server.http.request(method, path, content=content, headers=headers)
    assert answer.status_code == status, answer.text
    assert answer.json()["message"]


def test_a_key_that_exists_is_no_new_user(server: Server, name: str) -> None:
    """It is refused in the words of an import's error, however it is written."""
    email = f"{name}@example.org"
    server.created(**USER, email=email)
    answer = server.http.post(AUDIENCE, json=USER | {"email": email.upper()})
    assert answer.status_code in {400, 409}
    assert "Email is being used for one of the audience members." in answer.text


def test_a_user_is_modified(server: Server, name: str) -> None:
    """Only in the fields that are sent; who reads the answer sees it."""
    user_id = server.created(**USER, email=f"{name}@example.org", state="Goa")
    before = server.http.get(f"{AUDIENCE}/{user_id}").json()
    answer = server.http.put(f"{AUDIENCE}/{user_id}", json={"firstName": "Augusta"})
    assert answer.status_code == 200, answer.text
    assert answer.json() == {"id": user_id, "message": "Details updated successfully"}
    after = server.http.get(f"{AUDIENCE}/{user_id}").json()
    assert after | {"lastModifiedDateStr": ""} == before | {
        "firstName": "Augusta",
        "lastModifiedDateStr": "",
    }


@pytest.mark.parametrize(
    ("field", "value"),
    [("email", "no address"), ("firstName", None), ("country", "USA"), ("nickname", "A")],
)
def test_a_change_that_breaks_a_rule_is_refused(
    server: Server, name: str, field: str, value: object
) -> None:
    """And changes nothing."""
    user_id = server.created(**USER, email=f"{name}@example.org")
    before = server.http.get(f"{AUDIENCE}/{user_id}").json()
    answer = server.http.put(f"{AUDIENCE}/{user_id}", json={"lastName": "X", field: value})
    assert answer.status_code == 400, answer.text
    assert server.http.get(f"{AUDIENCE}/{user_id}").json() == before


def test_a_user_is_deleted(server: Server, name: str) -> None:
    """Whoever reads the answer finds it no more."""
    user_id = server.created(**USER, email=f"{name}@example.org")
    answer = server.http.post(f"{AUDIENCE}/{user_id}/delete")
    assert answer.status_code == 200, answer.text
    assert answer.json() == {"id": user_id, "message": "User deleted successfully"}
    assert server.user(f"{name}@example.org") is None
    for gone in (
        server.http.get(f"{AUDIENCE}/{user_id}"),
        server.http.put(f"{AUDIENCE}/{user_id}", json={"firstName": "A"}),
        server.http.post(f"{AUDIENCE}/{user_id}/delete"),
    ):
        assert (gone.status_code, gone.json()) == (400, UNKNOWN_USER)


@pytest.mark.parametrize("user_id", NO_SUCH_IDS)
def test_an_unknown_user_is_answered_in_the_contracts_words(server: Server, user_id: str) -> None:
    """400, whatever is asked of it and whatever its id's form."""
    for answer in (
        server.http.get(f"{AUDIENCE}/{user_id}"),
        server.http.put(f"{AUDIENCE}/{user_id}", json={"firstName": "A"}),
        server.http.post(f"{AUDIENCE}/{user_id}/delete"),
        server.http.get(f"{AUDIENCE}/{user_id}/history"),
    ):
        assert (answer.status_code, answer.json()) == (400, UNKNOWN_USER)


def test_a_users_history_says_what_set_it(server: Server, name: str) -> None:
    """Which job and line, and which position of the log; the oldest first."""
    email = f"{name}@example.org"
    job = server.imported(file(line(f"a{email}"), line(email)))
    user = server.user(email)
    assert user is not None
    server.http.put(f"{AUDIENCE}/{user['id']}", json={"firstName": "Augusta"})
    answer = server.http.get(f"{AUDIENCE}/{user['id']}/history")
    assert answer.status_code == 200, answer.text
    found = answer.json()
    assert (found["id"], found["total"], len(found["history"])) == (user["id"], 2, 2)
    created, updated = found["history"]
    assert (created["event"], created["jobId"], created["line"]) == ("created", job["id"], 3)
    assert (updated["event"], updated["jobId"]) == ("updated", None)
    assert updated["changes"] == {"firstName": {"before": "Ada", "after": "Augusta"}}
    for entry in found["history"]:
        assert DATE.fullmatch(entry["date"])
        assert entry["partition"] >= 0
        assert entry["offset"] >= 0
