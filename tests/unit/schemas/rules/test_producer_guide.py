"""The guide for producers says what the code does; what can be compared is."""

from __future__ import annotations

import importlib.util
import re
from functools import cache
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest

from deploy.local_stack.kafka_jars import parse_lock
from deploy.local_stack.lock_jars import JAVA_LOCK
from ingest_api.parsing.columns import trimmed
from ingest_api.validation.field_rules import lower_cased
from ingest_api.validation.phones import to_e164
from schemas.codec import framing
from schemas.events import UserRow
from schemas.log import dead_letters
from schemas.log.topics import murmur2, partition_of, topics
from schemas.read_model.tables import API_SOURCE
from schemas.read_model.upsert_sql import changed
from schemas.rules.attributes import ATTRIBUTE_TYPES, is_canonical
from schemas.rules.fields import EMAIL_PATTERN, FIELDS, KEY_FIELD, MAX_KEY_BYTES, MOBILE_PATTERN
from schemas.rules.producer_rows import event_violation, value_violation

if TYPE_CHECKING:
    from pathlib import Path

_FOLDER = JAVA_LOCK.parent
_GUIDE = (_FOLDER / "README.md").read_text()


def _table(*header: str) -> list[list[str]]:
    """The rows of the table with this header, without the marks of code."""
    head = f"| {' | '.join(header)} |\n{'|---' * len(header)}|\n"
    assert _GUIDE.count(head) == 1, header
    text = _GUIDE.partition(head)[2].partition("\n\n")[0]
    rows = [line.strip("| ").replace("`", "").split(" | ") for line in text.splitlines()]
    assert all(len(row) == len(header) for row in rows), rows
    return rows


@cache
def _program() -> Any:
    spec = importlib.util.spec_from_file_location("send_users", _FOLDER / "send_users.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_bits_of_present() -> None:
    """Each field's bit, and whether null clears it; both programs have the same order."""
    expected = [[field.name, str(field.bit), _meaning_of_null(field.name)] for field in FIELDS]
    assert _table("field", "bit", "null with the bit set") == expected
    names = [field.name for field in FIELDS]
    assert list(_program().FIELDS) == names
    java = (_FOLDER / "SendUsers.java").read_text().partition("FIELDS =")[2].partition(");")[0]
    assert re.findall(r'"(\w+)"', java) == names


def _meaning_of_null(name: str) -> str:
    """As the statement has it by which the projection writes."""
    return "left alone" if "IS NOT NULL" in changed()[name].as_string() else "cleared"


def test_every_reason_of_a_dead_letter_is_told() -> None:
    """In the words of the table in the code, and each header of a dead letter."""
    expected = [[code, text.replace("`", "")] for code, text in dead_letters.REASONS.items()]
    assert _table("code", "why") == expected
    assert all(f"`{name}`" in _GUIDE for name in [*dead_letters.HEADERS, dead_letters.LEFT_OUT])


def test_every_field_of_the_event_is_told() -> None:
    """In the order of the schema; modes and the reserved source are those of the code."""
    definition = framing.definition_of(UserRow)
    names = [field["name"] for field in definition["fields"]]
    assert [row[0] for row in _table("field", "what a producer writes")] == names
    modes = next(field for field in definition["fields"] if field["name"] == "mode")
    shown = [row[0] for row in _table("mode", "the key has no user", "the key has a user")]
    assert shown == [mode for mode in modes["type"]["symbols"] if mode != "delsert"]
    assert f"`{API_SOURCE}`" in _GUIDE
    required = [row[0] for row in _table("field", "what a producer writes") if "required" in row[1]]
    assert required == ["event_id"] + [
        field.name for field in FIELDS if field.is_required or field.name == "state"
    ]


def test_every_limit_of_a_value_is_told() -> None:
    """Of each field that holds a text."""
    told = [row[:2] for row in _table("field", "characters", "what it must be")]
    assert told == [
        [field.name, str(field.max_characters)]
        for field in FIELDS
        if field.kind in {"text", "email", "mobile"}
    ]
    assert "at most 64 characters before it" in _GUIDE
    assert "{1,64}@" in EMAIL_PATTERN
    assert "7 to 15 digits" in _GUIDE
    assert MOBILE_PATTERN.endswith("[1-9][0-9]{6,14}$")


@pytest.mark.parametrize("name", ["first_name", "mobile_number"])
@pytest.mark.parametrize("given", ["  ", " Kim ", None, "0049 (30) 123456"])
def test_the_program_sends_values_that_are_allowed(name: str, given: str | None) -> None:
    """Trimmed, null where nothing is left, and numbers in E.164."""
    user = {"event_id": "1", "mode": "upsert", "email": "a@b.org", name: given}
    if (name, given) == ("mobile_number", " Kim "):
        with pytest.raises(ValueError, match="no phone number"):
            _program().user_row(user, "email", "crm")
        return
    row = UserRow(**_program().user_row(user, "email", "crm"))
    assert value_violation(row) is None
    assert event_violation(row) is None


def test_the_fingerprint_is_the_schema_s() -> None:
    """As it stands in the bytes."""
    assert _table("event", "fingerprint") == [["UserRow", framing.fingerprint_of(UserRow).hex()]]


def test_the_partitions_of_keys() -> None:
    """What another client is checked with."""
    partitions = topics().user_events.partitions
    assert f"with {partitions} partitions" in _GUIDE
    for key, number, partition in _table("key", "murmur2", "partition"):
        placed = murmur2(key.encode()) & 0x7FFFFFFF, partition_of(key.encode(), partitions)
        assert (int(number), int(partition)) == placed


def test_every_kind_of_key_is_told() -> None:
    """The settings' values, and the limit of a key."""
    shown = [row[0] for row in _table("reconciliation key", "the key of an event")]
    assert shown == [*KEY_FIELD, "a custom attribute"]
    assert f"1 to {MAX_KEY_BYTES} bytes" in _GUIDE


def test_every_type_of_attribute_is_told() -> None:
    """With examples that are canonical."""
    assert [row[0] for row in _table("type", "canonical text")] == list(ATTRIBUTE_TYPES)
    assert is_canonical("number", "-0.5")
    assert is_canonical("number", "1200")


def test_the_jars_that_are_named_are_the_locked_ones() -> None:
    """So whoever copies the coordinates has what the tests ran."""
    locked = {jar.coordinate for jar in parse_lock(JAVA_LOCK.read_text())}
    named = re.findall(r"`([\w.]+:[\w-]+:[\d.]+)`", _GUIDE)
    assert len(named) == 2
    assert set(named) <= locked
    pom = (_FOLDER / "pom.xml").read_text().partition("<build>")[0]
    # SLF4J's silent end is no part of what the tests compile, and has its parent's version.
    named = re.findall(r"<(?:groupId|artifactId|version)>(.+)</", pom.replace("-nop", "-api"))[3:]
    coordinates = {":".join(named[at : at + 3]) for at in range(0, len(named), 3)}
    assert len(coordinates) == 4
    assert coordinates <= locked


def test_a_file_that_is_missing_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The schema as well as the users."""
    missing = str(tmp_path / "UserRow.avsc")
    arguments = ["users.jsonl", "--schema", missing, "--bootstrap-servers", "127.0.0.1:1"]
    monkeypatch.setattr("sys.argv", ["send_users.py", *arguments])
    with pytest.raises(SystemExit) as ended:
        _program().main()
    assert ended.value.code == f"{missing} can't be read: No such file or directory."


@pytest.mark.parametrize(
    "email",
    [
        " Ada@Example.COM\t",
        "JÖRG@Straße.de",
        "ΣΊΣΥΦΟΣ@example.com",
        "İnci@example.com",
        "\u00a0x@y.org\u2028",
    ],
)
def test_a_key_is_the_one_of_an_upload(email: str) -> None:
    """The program normalises an email as the publisher does, whatever its script."""
    cells = trimmed(pa.array([email]))
    assert _program().key_of({"email": email}, "email") == lower_cased(cells).array[0].as_py()


@pytest.mark.parametrize("number", ["+1 (415) 555-0123", "0044 20 7183 8750", "+49.30.123456/7"])
def test_a_mobile_number_is_the_one_of_an_upload(number: str) -> None:
    """The program writes it in E.164 as the publisher does, and refuses what it refuses."""
    found, is_bad = to_e164(trimmed(pa.array([number])))
    assert not is_bad[0]
    user = {"mobile_number": number}
    assert _program().key_of(user, "mobileNumber") == found.array[0].as_py()
    with pytest.raises(ValueError, match="no phone number"):
        _program().key_of({"mobile_number": "0415 555"}, "mobileNumber")


def test_the_files_that_the_guide_names_are_there() -> None:
    """Each link of it leads to a file."""
    links = re.findall(r"\]\(([^)]+)\)", _GUIDE)
    assert len(links) >= 4
    assert [link for link in links if not (_FOLDER / link).exists()] == []
