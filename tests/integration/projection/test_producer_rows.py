"""Rows without a job, driven into the projection: what counts, and what is refused."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from schemas.codec import codec
from schemas.events import AttributeDefined, UserRow
from schemas.log.topics import partition_of
from schemas.read_model.tables import API_SOURCE
from tests.support.data.passes import MemoryRecord
from tests.support.data.projection_scene import Scene
from tests.support.models.verdict import select
from tests.support.servers.surroundings import PARTITIONS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from schemas.events import AttributeType, RowMode
    from tests.support.servers.surroundings import Ground

NOW = datetime(2026, 3, 1, tzinfo=UTC)
EVERY_FIELD = 0b1111111111
KEY = "kim@example.com"
PARTITION = partition_of(KEY.encode(), PARTITIONS)


@pytest.fixture
def scene(env: Ground) -> Iterator[Scene]:
    """A projection of the test's own, and its empty log."""
    made = Scene(env)
    yield made
    made.close()


def row(event_id: str, mode: RowMode = "insert", **values: Any) -> UserRow:
    """An event about one and the same key."""
    whole: dict[str, Any] = {
        "first_name": "Kim", "last_name": "Lee", "email": KEY, "country": "Japan",
        "present": EVERY_FIELD, "source": "crm",
    }  # fmt: skip
    return UserRow(event_id=event_id, mode=mode, key=KEY, occurred_at=NOW, **(whole | values))


def define(scene: Scene, name: str, attribute_type: AttributeType) -> None:
    """Append the definition to every partition."""
    event = AttributeDefined(
        name=name,
        type=attribute_type,
        is_reconciliation_key=False,
        is_indexed=True,
        defined_at=NOW,
        defined_by="admin",
    )
    for partition in range(PARTITIONS):
        scene.log.append(partition, [MemoryRecord(name.encode(), codec.encode(event))])


def send(scene: Scene, *rows: UserRow) -> None:
    """Append the rows in order."""
    scene.log.append(PARTITION, [MemoryRecord(KEY.encode(), codec.encode(each)) for each in rows])


def project(scene: Scene, size: int = 100) -> None:
    """Project all of the log, so many records a batch."""
    worker = scene.worker()
    while worker.project(scene.log, [size] * PARTITIONS):
        pass


def dead_letters(scene: Scene) -> list[tuple[int, str]]:
    """Offset and reason of each, in order."""
    rows = select(scene.env, f"SELECT headers FROM {scene.schema}.outbox ORDER BY id")
    return [(int(each["headers"]["source-offset"]), each["headers"]["reason"]) for each in rows]


def user(scene: Scene) -> dict[str, Any]:
    """The only user there is."""
    (found,) = select(scene.env, "SELECT * FROM users")
    return found


@pytest.mark.parametrize("size", [1, 100])
def test_an_insert_that_comes_again_is_a_repeat_and_another_one_is_not(
    scene: Scene, size: int
) -> None:
    """The event id that made the user tells them apart, whatever the batches."""
    send(scene, row("a"), row("a"), row("b"))
    project(scene, size)

    assert user(scene)["id"] == (PARTITION << 48) + 1
    assert dead_letters(scene) == [(2, "KEY_EXISTS")]


@pytest.mark.parametrize("size", [1, 100])
def test_an_insert_is_a_repeat_whoever_changed_the_user_since(scene: Scene, size: int) -> None:
    """It undoes nothing, and is counted as a repeat of its source."""
    send(scene, row("a"), row("b", "upsert", first_name="Lee", source="shop"), row("a"))
    project(scene, size)

    assert user(scene)["first_name"] == "Lee"
    assert dead_letters(scene) == []
    assert select(
        scene.env, "SELECT inserted, dead, repeats FROM sources WHERE source = 'crm'"
    ) == [{"inserted": 1, "dead": 0, "repeats": 1}]


@pytest.mark.parametrize("event_id", [None, ""])
def test_an_event_without_an_id_is_a_dead_letter(scene: Scene, event_id: str | None) -> None:
    """Nothing would tell a repeat of it from another one."""
    nameless = replace(row("a"), event_id=event_id)
    send(scene, nameless, row("b"), replace(nameless, mode="delete"))
    project(scene)

    assert dead_letters(scene) == [(0, "EVENT_ID_MISSING"), (2, "EVENT_ID_MISSING")]
    assert user(scene)["id"] == (PARTITION << 48) + 2


UNFIT: list[tuple[dict[str, Any], str]] = [
    ({"first_name": "Kim\u2028"}, "TEXT_NOT_TRIMMED"),
    ({"state": ""}, "TEXT_NOT_TRIMMED"),
    ({"last_name": "x" * 1_000_000}, "TOO_LONG"),
    ({"email": "kim@example"}, "EMAIL_INVALID"),
    ({"mobile_number": "+49 30 123456"}, "MOBILE_INVALID"),
    ({"email": "lee@example.com"}, "KEY_FIELD_MISMATCH"),
    ({"country": "Ja\0pan"}, "NUL_CHARACTER"),
]


@pytest.mark.parametrize(("values", "code"), UNFIT)
@pytest.mark.parametrize("source", ["crm", API_SOURCE])
def test_what_no_upload_would_keep_changes_nobody(
    scene: Scene, source: str, values: dict[str, Any], code: str
) -> None:
    """Found before any statement; a write of the API is told, others are dead letters."""
    send(scene, row("a"), row("b", "upsert", source=source, **values), row("c", "delete"))
    project(scene)

    is_told = source == API_SOURCE
    assert dead_letters(scene) == ([] if is_told else [(1, code)])
    told = select(scene.env, "SELECT code FROM write_outcomes")
    assert told == ([{"code": code}] if is_told else [])
    assert select(scene.env, "SELECT total FROM user_total") == [{"total": 0}]


def test_a_delete_says_nothing_of_values(scene: Scene) -> None:
    """So what it carries besides is not judged."""
    send(scene, row("a"), row("b", "delete", first_name=" ", email="x", mobile_number="-"))
    project(scene)

    assert dead_letters(scene) == []
    assert select(scene.env, "SELECT total FROM user_total") == [{"total": 0}]


@pytest.mark.parametrize("size", [1, 100])
def test_a_refused_row_says_what_it_met(scene: Scene, size: int) -> None:
    """The holder of its key, whom it means, what it lacks; and the way out."""
    made = (PARTITION << 48) + 2
    send(
        scene,
        row("a", "upsert", first_name=None, country=None),
        row("b"),
        row("c"),
        row("d", "upsert", user_id=7),
    )
    project(scene, size)

    found = select(scene.env, f"SELECT headers FROM {scene.schema}.outbox ORDER BY id")
    details = [each["headers"]["detail"] for each in found]
    expected = (
        "a new user needs first_name, country, which the row lacks",
        f"with event_id 'c', and its key belongs to user {made} already",
        f"means user 7, and its key belongs to user {made}",
    )
    assert len(details) == len(expected)
    assert [says for says in expected if not any(says in detail for detail in details)] == []


@pytest.mark.parametrize("size", [1, 100])
def test_values_of_attributes_are_stored_typed(scene: Scene, size: int) -> None:
    """Numbers and booleans are JSON's own; a null clears one."""
    types: dict[str, AttributeType] = {"n": "number", "b": "boolean", "d": "date", "s": "string"}
    for name, attribute_type in types.items():
        define(scene, name, attribute_type)
    values = {"n": "-0.5", "b": "true", "d": "2026-03-01", "s": 'a "quoted"\n\\ 1'}
    send(scene, row("a", attributes=values), row("b", "upsert", attributes={"s": None, "n": "12"}))
    project(scene, size)
    assert dead_letters(scene) == []

    assert user(scene)["attributes"] == {"n": 12, "b": True, "d": "2026-03-01"}
    assert user(scene)["modified_position"] == user(scene)["id"] + 1


@pytest.mark.parametrize(
    ("attributes", "code"),
    [
        ({"m": "1"}, "ATTRIBUTE_UNKNOWN"),
        ({"n": "1e3"}, "ATTRIBUTE_INVALID"),
        ({"n": "01"}, "ATTRIBUTE_INVALID"),
        ({"n": "1234567890123456"}, "ATTRIBUTE_INVALID"),
    ],
)
def test_a_value_that_is_none_is_a_dead_letter(
    scene: Scene, attributes: dict[str, str | None], code: str
) -> None:
    """Its neighbours are applied."""
    define(scene, "n", "number")
    send(scene, row("a", attributes=attributes), row("b", attributes={"n": "1"}))
    project(scene)

    assert dead_letters(scene) == [(1, code)]
    assert user(scene)["attributes"] == {"n": 1}


def test_a_value_before_its_definition_is_a_dead_letter(scene: Scene) -> None:
    """Order in the partition decides, also within a batch; of two definitions the first counts."""
    send(scene, row("a", attributes={"n": "1"}))
    define(scene, "n", "number")
    define(scene, "n", "string")
    send(scene, row("b", attributes={"n": "1"}))
    project(scene)

    assert dead_letters(scene) == [(0, "ATTRIBUTE_UNKNOWN")]
    assert json.dumps(user(scene)["attributes"]) == '{"n": 1}'
    assert select(scene.env, "SELECT name, type FROM attributes") == [
        {"name": "n", "type": "number"}
    ]


@pytest.mark.parametrize("mode", ["upsert", "delete"])
def test_a_row_for_another_user_leaves_the_one_with_the_key_alone(
    scene: Scene, mode: RowMode
) -> None:
    """The id that it means is not the holder's."""
    send(scene, row("a"), row("b", mode, first_name="Lee", user_id=7))
    project(scene)

    assert user(scene)["first_name"] == "Kim"
    assert dead_letters(scene) == [(1, "NO_SUCH_USER")]


def test_every_write_of_the_api_has_its_outcome(scene: Scene) -> None:
    """One a write, with the user's id or the reason; none of them is a dead letter."""
    made = (PARTITION << 48) + 1
    api: dict[str, Any] = {"source": API_SOURCE}
    send(
        scene,
        row("1", **api),
        row("2", **api),
        row("3", "upsert", first_name="Lee", user_id=made, **api),
        row("4", "upsert", first_name="Lee", user_id=made, **api),
        row("5", "upsert", attributes={"x": "1"}, **api),
        row("6", "delete", user_id=made, **api),
        row("7", "delete", user_id=made, **api),
    )
    project(scene)

    outcomes = select(
        scene.env, "SELECT event_id, outcome, user_id, code FROM write_outcomes ORDER BY event_id"
    )
    assert [tuple(outcome.values()) for outcome in outcomes] == [
        ("1", "inserted", made, None),
        ("2", "rejected", None, "KEY_EXISTS"),
        ("3", "updated", made, None),
        ("4", "unchanged", made, None),
        ("5", "rejected", None, "ATTRIBUTE_UNKNOWN"),
        ("6", "deleted", made, None),
        ("7", "rejected", None, "NO_SUCH_USER"),
    ]
    assert dead_letters(scene) == []
    assert select(scene.env, "SELECT total FROM user_total") == [{"total": 0}]
