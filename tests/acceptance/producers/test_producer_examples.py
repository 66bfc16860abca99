"""The example producers in Python and Java do what the guide for producers says."""

from __future__ import annotations

import json
from collections import defaultdict
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any, cast

import jsonschema_rs
import pytest

from schemas.asyncapi.document import document
from schemas.codec import codec
from schemas.events import UserRow
from schemas.log.topics import partition_of
from tests.support.clients.example_producers import LANGUAGES, ExampleProducers, sample
from tests.support.clients.single_users import added
from tests.support.data.log_reading import read_topic
from tests.support.models.verdict import select
from tests.support.servers.surroundings import PARTITIONS
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from confluent_kafka import Message

    from tests.support.servers.rig import Rig

    Row = dict[str, Any]


@pytest.fixture(scope="module")
def producers(rig_of_module: Rig, tmp_path_factory: pytest.TempPathFactory) -> ExampleProducers:
    """The programs, sending to the installation that the tests share."""
    return ExampleProducers(rig_of_module.env, tmp_path_factory.mktemp("producers"))


def _users(rig: Rig, domain: str) -> list[Row]:
    rows = select(rig.env, "SELECT * FROM users ORDER BY key")
    return [row for row in rows if row["key"].endswith(f"@{domain}")]


def _dead_letters(rig: Rig, domain: str) -> list[Message]:
    found = read_topic(rig.env.settings, rig.env.settings.topics.dead_letters)
    letters = [letter for records in found for letter in records]
    return [letter for letter in letters if (letter.key() or b"").endswith(f"@{domain}".encode())]


def _headers(letter: Message) -> dict[str, str]:
    pairs = cast("list[tuple[str, bytes]]", letter.headers())
    return {name: value.decode() for name, value in pairs}


def _wait_applied(rig: Rig, producers: ExampleProducers, domain: str) -> None:
    """All sent before is applied on return: a further user in each partition has appeared."""
    markers: dict[int, Row] = {}
    number = 0
    while len(markers) < PARTITIONS:
        number += 1
        email = f"marker{number}@{domain}"
        markers[partition_of(email.encode(), PARTITIONS)] = _user(email, f"{domain}-m{number}")
    assert producers.send("python", markers.values()).status == 0
    emails = {marker["email"] for marker in markers.values()}
    wait_until(
        lambda: emails <= {user["email"] for user in _users(rig, domain)}, 60, saying="applied"
    )


def _user(email: str, event_id: str, mode: str = "insert", **further: Any) -> Row:
    user = {"first_name": "M", "last_name": "K", "country": "UK"} if mode == "insert" else {}
    return {"event_id": event_id, "mode": mode, "email": email, **user, **further}


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_users_of_an_example_appear_exactly(
    rig_of_module: Rig, producers: ExampleProducers, language: str
) -> None:
    """Added, changed in the fields that are set, deleted; the bad one is a dead letter, told why.

    Sent again with the same event ids, it changes nothing and is refused in the same way.
    """
    rig, domain = rig_of_module, f"{language}.example.com"
    first = producers.send(language, sample(domain))
    assert (first.status, first.told.count("not"), len(first.sent)) == (0, 0, 7), first.told
    wait_until(lambda: _dead_letters(rig, domain), 60, saying="the bad one is a dead letter")
    _wait_applied(rig, producers, f"once.{domain}")
    users = _users(rig, domain)
    assert [_told(user) for user in users] == _expected(domain)
    (letter,) = _dead_letters(rig, domain)
    assert _headers(letter)["reason"] == "REQUIRED"
    refused = next(sent for sent in first.sent if sent.event_id == f"{domain}-7")
    assert int(_headers(letter)["source-partition"]) == refused.partition
    assert int(_headers(letter)["source-offset"]) == refused.offset
    assert letter.key() == refused.key.encode()

    again = producers.send(language, sample(domain))
    assert again.status == 0
    wait_until(lambda: len(_dead_letters(rig, domain)) == 2, 60, saying="it is refused again")
    _wait_applied(rig, producers, f"twice.{domain}")
    assert _users(rig, domain) == users
    assert {_headers(letter)["reason"] for letter in _dead_letters(rig, domain)} == {"REQUIRED"}


def _told(user: Row) -> tuple[Any, ...]:
    names = ("key", "first_name", "email", "mobile_number", "country", "state", "last_active_date")
    flags = ("sms_subscription", "email_subscription")
    return tuple(user[name] for name in (*names, *flags, "created_at", "modified_at", "job_id"))


def _expected(domain: str) -> list[tuple[Any, ...]]:
    def at(minute: int) -> datetime:
        return datetime(2026, 7, 1, 12, minute, tzinfo=UTC)

    ada, grace, day = f"ada@{domain}", f"grace@{domain}", date(2026, 7, 1)
    mobile = "+442071838750"
    return [
        (ada, "Ada", ada, mobile, "UK", None, day, False, True, at(30), at(33), None),
        (grace, "Grace", grace, None, "USA", "Virginia", None, True, True, at(31), at(34), None),
    ]


def test_events_of_one_key_meet_in_one_partition(
    rig_of_module: Rig, producers: ExampleProducers
) -> None:
    """Whoever sends them: the API, Python and Java; so they are applied in one order."""
    rig = rig_of_module
    emails = [f"{name}@meet.example.com" for name in ("ana", "Jörg", "ΣΊΣΥΦΟΣ", "İnci", "王", "x")]
    emails += [f"user{number}@meet.example.com" for number in range(12)]
    for email in emails:
        added(rig.client, {"firstName": "A", "lastName": "B", "email": email, "country": "UK"})
    for number, language in enumerate(LANGUAGES):
        changes = [
            _user(f" {email}", f"{language}-{at}", "upsert", last_name=language, first_name=f"{at}")
            for at, email in enumerate(emails)
        ]
        run = producers.send(language, changes)
        assert (run.status, len(run.sent)) == (0, len(emails)), run.told
        _wait_applied(rig, producers, f"m{number}.example.com")

    places = _places(rig, "@meet.example.com")
    keys = {email.lower(): partition_of(email.lower().encode(), PARTITIONS) for email in emails}
    assert {key: {place for place, _ in found} for key, found in places.items()} == {
        key: {partition} for key, partition in keys.items()
    }
    assert {tuple(source for _, source in found) for found in places.values()} == {
        ("rollcall-api", "crm", "crm")
    }
    assert set(keys.values()) == set(range(PARTITIONS))
    found = {
        user["key"]: (user["first_name"], user["last_name"], user["email"])
        for user in _users(rig, "meet.example.com")
    }
    assert found == {
        email.lower(): (f"{at}", LANGUAGES[-1], email) for at, email in enumerate(emails)
    }


def _places(rig: Rig, ending: str) -> dict[str, list[tuple[int, str | None]]]:
    """By key, the partition and the source of each of its events, in the order of the log."""
    found: dict[str, list[tuple[int, str | None]]] = defaultdict(list)
    topic = rig.env.settings.topics.user_events
    for partition, records in enumerate(read_topic(rig.env.settings, topic)):
        for record in records:
            event = codec.decode(record.value())
            if isinstance(event, UserRow) and event.key.endswith(ending):
                found[event.key].append((partition, event.source))
    return found


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_line_that_is_no_event_is_not_sent(producers: ExampleProducers, language: str) -> None:
    """The others are, and the exit status tells."""
    good = _user(f"good@lines.{language}", f"{language}-good")
    bad = [
        _user(f"bad@lines.{language}", f"{language}-bad", "merge"),
        {"event_id": f"{language}-none", "mode": "insert", "first_name": "No Key"},
    ]
    run = producers.send(language, [bad[0], good, bad[1]])
    assert (run.status, [sent.event_id for sent in run.sent]) == (1, [good["event_id"]])
    assert "line 1 was not sent" in run.told
    assert "line 3 was not sent" in run.told


def test_the_description_that_is_served_is_of_this_log(
    rig_of_module: Rig, producers: ExampleProducers
) -> None:
    """And real dead letters have the headers that it says."""
    rig = rig_of_module
    answer = rig.client.http.get("/docs/asyncapi.json")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    settings = rig.env.settings
    served = answer.json()
    assert served == json.loads(json.dumps(document(settings.topics, settings.reconciliation_key)))
    producers.send("python", [_user("usa@described.org", "usa", country="USA")])
    letters = wait_until(lambda: _dead_letters(rig, "described.org"), 60, saying="it is refused")
    schema = served["components"]["messages"]["DeadLetter"]["headers"] | {
        "additionalProperties": False
    }
    for letter in letters:
        assert [
            str(fault)
            for fault in jsonschema_rs.validator_for(schema).iter_errors(_headers(letter))
        ] == []
