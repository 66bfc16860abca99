"""Dead letters as an operator meets them: what they say, and what a retry makes of them."""

from __future__ import annotations

import base64
import itertools
import re
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any

import pytest

from schemas.clients.kafka import make_producer
from schemas.codec import codec, framing
from schemas.events import JobVoided, UserRow
from schemas.log.topics import partition_of
from tests.support.clients.shell import Shell
from tests.support.data.log_reading import read_topic
from tests.support.models.verdict import select
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.clients.client import Json
    from tests.support.servers.rig import Rig

API = "/vpns/api/v1"
LETTERS = f"{API}/admin/dead-letters"
NOW = datetime(2026, 7, 1, 12, tzinfo=UTC)
_NUMBERS = itertools.count()
Sent = tuple[bytes | None, bytes | None, int]


@pytest.fixture
def shell(rig_of_module: Rig, tmp_path: Path) -> Shell:
    """A shell with the address and the credentials set."""
    return Shell(rig_of_module, tmp_path)


def row(key: str, source: str, **values: Any) -> UserRow:
    """An event of another producer that makes a user."""
    whole: dict[str, Any] = {
        "mode": "insert", "first_name": "Kim", "last_name": "Lee", "country": "Japan",
        "last_active_date": date(2026, 7, 1), "present": 0b1010111,
    }  # fmt: skip
    return UserRow(
        event_id=f"event of {key}",
        key=key,
        email=key,
        occurred_at=NOW,
        source=source,
        **(whole | values),
    )


def home(rig: Rig, event: UserRow) -> Sent:
    """The record as it should be sent."""
    key = event.key.encode()
    return key, codec.encode(event), partition_of(key, partitions(rig))


def partitions(rig: Rig) -> int:
    """Of user-events."""
    return rig.env.settings.topics.user_events.partitions


def send(rig: Rig, *records: Sent) -> set[tuple[int, int]]:
    """Append to user-events; their partitions and offsets, acknowledged on return."""
    producer = make_producer(rig.env.settings.kafka, {"message.max.bytes": 5_000_000})
    places: set[tuple[int, int]] = set()

    def note(error: object, message: Any) -> None:
        assert error is None, error
        places.add((message.partition(), message.offset()))

    topic = rig.env.settings.topics.user_events.name
    for key, value, partition in records:
        producer.produce(topic, value, key, partition, on_delivery=note)
    assert producer.flush(60) == 0
    return places


def get(rig: Rig, path: str, **query: object) -> Json:
    """The answer, which must be 200."""
    answer = rig.client.http.get(path, params={name: str(each) for name, each in query.items()})
    assert answer.status_code == 200, answer.text
    found: Json = answer.json()
    return found


def retry(rig: Rig, letter_id: str, **query: str) -> Json:
    """The answer to a retry, with its code."""
    answer = rig.client.http.post(f"{LETTERS}/{letter_id}/retry", params=query)
    return {"status": answer.status_code} | answer.json()


def total(rig: Rig) -> int:
    """How many dead letters there are."""
    count: int = get(rig, LETTERS)["total"]
    return count


def dead_lettered(rig: Rig, *records: Sent) -> list[Json]:
    """Send records that are poison; their letters, the newest first."""
    places = send(rig, *records)

    def letters() -> list[Json] | None:
        """Those alone: letters of the test before may still be on their way."""
        newest: list[Json] = get(rig, LETTERS, pageSize=1000)["deadLetters"]
        found = [
            each for each in newest if (each["sourcePartition"], each["sourceOffset"]) in places
        ]
        return found if len(found) == len(records) else None

    found = wait_until(letters, 30, saying="all are dead letters")
    assert found is not None, "it waits until there are all"
    return found


def source(rig: Rig, name: str | None) -> Json:
    """What is counted for a source."""
    found: list[Json] = get(rig, f"{API}/batchinfo/sources", pageSize=1000)["sources"]
    counted = [each for each in found if each["source"] == name]
    return counted[0] if counted else {}


def user(rig: Rig, key: str) -> list[dict[str, Any]]:
    """The user with this key, if there is one."""
    return select(rig.env, f"SELECT * FROM users WHERE key = '{key}'")


def test_every_kind_of_poison_is_shown_with_its_reason_and_the_way_out(rig_of_module: Rig) -> None:
    """What was sent byte for byte, and as JSON where it is an event of ours."""
    rig = rig_of_module
    good = row("poison@example.com", "kinds")
    key, value, partition = home(rig, good)
    assert value is not None
    job_event = codec.encode(JobVoided(job_id=7, attempt="a"))
    poison: dict[Sent, tuple[str, str, str | None]] = {
        (key, b"\0\xff{}", partition): ("NOT_FRAMED", "begins with 00 ff 7b 7d, not with", None),
        (key, None, partition): ("NULL_VALUE", "send a UserRow of mode delete", None),
        (key, value[:-3], partition): ("MALFORMED", "mend the producer", None),
        (key, value + b"\0", partition): ("TRAILING_BYTES", "1 bytes after the end", None),
        (b"\xff", value, partition): ("KEY_MISMATCH", r"b'\xff' and the row's", "UserRow"),
        (None, value, partition): ("NULL_KEY", "b'poison@example.com'", "UserRow"),
        (key, framing.MARKER + b"12345678" * 130_000, partition): ("UNKNOWN_SCHEMA", "retry", None),
        (key, job_event, partition): ("UNEXPECTED_TYPE", "JobVoided", "JobVoided"),
    }
    letters = dead_lettered(rig, *poison)

    assert {letter["reason"] for letter in letters} == {said[0] for said in poison.values()}
    for (its_key, its_value, _), (reason, says, event_type) in poison.items():
        listed = next(letter for letter in letters if letter["reason"] == reason)
        shown = get(rig, f"{LETTERS}/{listed['id']}")
        assert says in listed["detail"]
        assert listed.items() <= shown.items()
        assert (shown["sourcePartition"], shown["sourceTopic"]) == (
            partition,
            rig.env.settings.topics.user_events.name,
        )
        assert shown["keyBase64"] == (its_key and base64.b64encode(its_key).decode())
        whole = None if its_value is None else base64.b64encode(its_value[: 1 << 20]).decode()
        assert shown["valueBase64"] == whole
        assert shown["valueBytes"] == len(its_value or b"")
        assert shown["eventType"] == event_type
        assert (shown["event"] is None) == (shown["undecodable"] is not None)
    assert retry(rig, _of(letters, "UNEXPECTED_TYPE")["id"])["status"] == 409


def _of(letters: list[Json], reason: str) -> Json:
    return next(letter for letter in letters if letter["reason"] == reason)


def test_a_retry_after_the_cause_was_mended_is_applied_once(rig_of_module: Rig) -> None:
    """The list says that it was retried; once more it is refused, and with again a repeat."""
    rig = rig_of_module
    event = row("mended@example.com", "mended", attributes={"plan": "gold"})
    (letter,) = dead_lettered(rig, home(rig, event))
    assert (letter["reason"], letter["retried"]) == ("ATTRIBUTE_UNKNOWN", None)
    assert "define it" in letter["detail"]

    defined = rig.client.http.post(
        f"{API}/admin/attributes", json={"name": "plan", "type": "string"}
    )
    assert defined.status_code == 200, defined.text
    done = retry(rig, letter["id"])
    wait_until(lambda: bool(user(rig, event.key)), 20, saying="the user is there")
    assert user(rig, event.key)[0]["attributes"] == {"plan": "gold"}

    shown = get(rig, f"{LETTERS}/{letter['id']}")
    where = (shown["retried"]["partition"], shown["retried"]["offset"])
    assert where == (done["partition"], done["offset"])
    assert shown["retried"]["retriedBy"] == "admin"
    refused = retry(rig, letter["id"])
    assert refused["status"] == 409
    assert f"partition {done['partition']}, offset {done['offset']}" in refused["message"]
    assert retry(rig, letter["id"], again="true")["status"] == 200
    wait_until(lambda: source(rig, "mended").get("repeats") == 1, 20, saying="it is a repeat")
    counted = source(rig, "mended")
    assert (counted["total"], counted["inserted"], counted["dead"]) == (3, 1, 1)
    assert len(get(rig, f"{LETTERS}/{letter['id']}")["attempts"]) == 2


def test_a_misrouted_record_is_retried_where_its_key_belongs(rig_of_module: Rig) -> None:
    """With a header that says which letter it was."""
    rig = rig_of_module
    event = row("lost@example.com", "lost")
    key, value, partition = home(rig, event)
    (letter,) = dead_lettered(rig, (key, value, (partition + 1) % partitions(rig)))
    assert letter["reason"] == "MISROUTED"

    done = retry(rig, letter["id"])
    assert (done["status"], done["partition"]) == (200, partition)
    wait_until(lambda: bool(user(rig, event.key)), 20, saying="the user is there")
    records = read_topic(rig.env.settings, rig.env.settings.topics.user_events)[partition]
    record = next(each for each in records if each.offset() == done["offset"])
    topic = rig.env.settings.topics.dead_letters.name
    origin = f"{topic}/{letter['id'].replace('-', '/')}".encode()
    assert (record.key(), record.value()) == (key, value)
    assert dict(record.headers() or []) == {"retried-from": origin}


def test_what_still_cannot_be_applied_is_another_dead_letter(rig_of_module: Rig) -> None:
    """The retried one stays as it was; null keys and null values are retried as they are."""
    rig = rig_of_module
    (letter,) = dead_lettered(rig, (None, None, 1))
    before = total(rig)
    done = retry(rig, letter["id"])
    assert (done["status"], done["partition"]) == (200, 1)
    wait_until(lambda: total(rig) == before + 1, 20, saying="it is a dead letter again")
    newest = get(rig, LETTERS, pageSize=1)["deadLetters"][0]
    assert (newest["reason"], newest["sourceOffset"]) == ("NULL_VALUE", done["offset"])
    assert newest["retried"] is None


@pytest.mark.parametrize("letter_id", ["0-99999999999", "99-0", "5", "-", "1-x", "٣-٤", "1-1-1"])
def test_a_letter_that_is_not_there_is_not_found(rig_of_module: Rig, letter_id: str) -> None:
    """Whatever the id looks like."""
    assert rig_of_module.client.http.get(f"{LETTERS}/{letter_id}").status_code == 404
    assert retry(rig_of_module, letter_id)["status"] == 404


@pytest.mark.parametrize(
    "query",
    [
        "start=-1",
        "pageSize=0",
        "pageSize=1001",
        "reason=",
        "reason=A&reason=B",
        "sourcePartition=x",
    ],
)
def test_a_page_that_cannot_be_is_refused(rig_of_module: Rig, query: str) -> None:
    """With 400 that names the parameter."""
    answer = rig_of_module.client.http.get(f"{LETTERS}?{query}")
    assert answer.status_code == 400
    assert answer.json()["details"][0]["column"] == query.partition("=")[0]


@pytest.fixture
def unknown(rig_of_module: Rig) -> list[UserRow]:
    """Three events that are dead letters because of an attribute that nobody has defined."""
    name = f"cli {next(_NUMBERS)}"
    keys = [f"{name.replace(' ', '-')}-{n}@example.com" for n in range(3)]
    events = [row(key, name, attributes={name: "1"}) for key in keys]
    dead_lettered(rig_of_module, *[home(rig_of_module, event) for event in events])
    return events


def test_the_commands_show_letters_and_sources(
    rig_of_module: Rig, shell: Shell, unknown: list[UserRow]
) -> None:
    """A page of those that a filter takes, one of them, and what is counted by source."""
    listed = shell.run("dead-letters", "list", "--reason", "ATTRIBUTE_UNKNOWN", "--page-size", "2")
    assert listed.returncode == 0, listed.stderr
    assert sum(event.key in listed.stdout for event in unknown) == 2
    assert "(the next page: --start 2)" in listed.stdout
    newest = get(rig_of_module, LETTERS, pageSize=1)["deadLetters"][0]
    shown = shell.run("dead-letters", "show", newest["id"])
    assert f"  {unknown[0].source}\n" in re.sub(" +\n", "\n", shown.stdout)
    sources = shell.json("sources", "--page-size", "1000")["sources"]
    assert [each["dead"] for each in sources if each["source"] == unknown[0].source] == [3]
    table = shell.run("sources")
    assert (table.returncode, "repeats" in table.stdout) == (0, True)


def test_a_command_retries_many_letters_each_once(
    rig_of_module: Rig, shell: Shell, unknown: list[UserRow]
) -> None:
    """Those that a filter takes; what was retried before is left alone."""
    rig, wanted = rig_of_module, ("--reason", "ATTRIBUTE_UNKNOWN")
    name = unknown[0].source or ""
    letter = get(rig, LETTERS, pageSize=1)["deadLetters"][0]
    rig.client.http.post(f"{API}/admin/attributes", json={"name": name, "type": "number"})

    retried = shell.run("dead-letters", "retry", *wanted, "--limit", "3")
    assert retried.returncode == 0, retried.stderr
    assert "3 dead letters retried, 0 refused" in retried.stdout
    wait_until(lambda: source(rig, name).get("inserted") == 3, 20, saying="all are applied")
    ids = [user(rig, event.key)[0]["id"] for event in unknown]
    assert ids == sorted(ids) or len({number >> 48 for number in ids}) > 1

    one = shell.run("dead-letters", "retry", letter["id"])
    assert one.returncode == 2
    assert "was retried before, by admin" in one.stderr
    assert letter["id"] not in str(shell.json("dead-letters", "retry", *wanted))


def test_exit_status_tells_what_became_of_retries(rig_of_module: Rig, shell: Shell) -> None:
    """1 where some of many were refused, 2 for one that is, or none that is named."""
    value = codec.encode(JobVoided(job_id=9, attempt="a"))
    (letter,) = dead_lettered(rig_of_module, (b"x", value, 0))
    some = shell.run("dead-letters", "retry", "--reason", "UNEXPECTED_TYPE")
    assert some.returncode == 1, some.stderr
    assert "names job 9, whose records come again by the job's own pass only" in some.stdout
    one = shell.run("dead-letters", "retry", letter["id"])
    assert (one.returncode, "names job 9" in one.stderr) == (2, True)
    assert shell.run("dead-letters", "retry").returncode == 2
    assert shell.run("dead-letters", "retry", letter["id"], "--all").returncode == 2
    assert shell.run("dead-letters", "show", "7-7").returncode == 2


def test_retries_are_known_after_a_restart(rig_of_module: Rig) -> None:
    """And to every instance of the API."""
    rig = rig_of_module
    (letter,) = dead_lettered(rig, (None, b"restart", 0))
    assert retry(rig, letter["id"])["status"] == 200
    rig.api.kill()
    rig.restart_api()
    assert retry(rig, letter["id"])["status"] == 409
    assert get(rig, f"{LETTERS}/{letter['id']}")["retried"] is not None


def test_sources_are_counted_with_the_writes_of_the_api(rig_of_module: Rig) -> None:
    """Uploads are not: they are counted by job."""
    rig = rig_of_module
    before = source(rig, "rollcall-api").get("inserted", 0)
    body = {"firstName": "A", "lastName": "B", "email": "api@example.com", "country": "India"}
    assert rig.client.http.post(f"{API}/audience", json=body).status_code == 200
    assert rig.client.http.post(f"{API}/audience", json=body).status_code == 400
    counted = source(rig, "rollcall-api")
    assert (counted["inserted"] - before, counted["dead"]) == (1, 0)
    assert counted["lastEvent"] is not None
    names = {each["source"] for each in get(rig, f"{API}/batchinfo/sources")["sources"]}
    assert {None, "rollcall-api"} <= names
    assert get(rig, f"{API}/batchinfo/sources", start=10**9)["sources"] == []
