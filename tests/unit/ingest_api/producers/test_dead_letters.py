"""What a dead letter says, and where its record goes when it is retried."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from ingest_api.errors import IngestError
from ingest_api.producers.dead_letter_topic import DeadLetter
from ingest_api.producers.dead_letter_views import dead_letter_view, whole_dead_letter_view
from ingest_api.producers.retry_rules import (
    check_key,
    dead_letter_place,
    moved_partition,
    retry_partition,
)
from ingest_api.web.refused import status_of
from processor.decoding.dead_letter_texts import with_way_out
from processor.decoding.decode_records import decode_records
from processor.decoding.producer_rules import LogPartition, ProducerRowRules
from schemas.codec import codec
from schemas.events import AttributeDefined, RowRejected, UserRow
from schemas.log.topics import partition_of
from schemas.rules.attributes import Attribute
from tests.support.data.passes import MemoryRecord

if TYPE_CHECKING:
    from collections.abc import Mapping

    from processor.decoding.producer_rules import Refusal

PARTITIONS = 6
KEY = "kim@example.com"
HOME = partition_of(KEY.encode(), PARTITIONS)
ELSEWHERE = (HOME + 1) % PARTITIONS
NOW = datetime(2026, 3, 1, tzinfo=UTC)
TOPIC = "user-events"


def row(**values: Any) -> UserRow:
    """An event of another producer."""
    whole: dict[str, Any] = {
        "event_id": "1", "mode": "upsert", "key": KEY, "present": 0, "occurred_at": NOW,
    }  # fmt: skip
    return UserRow(**(whole | values))


def letter(
    key: bytes | None = KEY.encode(), headers: Mapping[str, str] | None = None
) -> DeadLetter:
    """A dead letter from a partition that is not its key's."""
    said = {"source-topic": TOPIC, "source-partition": str(ELSEWHERE), **(headers or {})}
    return DeadLetter(1, 42, 1_467_092_963_000, key, 5, said)


def partition(of: DeadLetter, value: bytes | None) -> int:
    """Where it goes."""
    return retry_partition(of, value, TOPIC, PARTITIONS)


def test_a_record_is_retried_where_its_key_belongs() -> None:
    """Where the record's key is the event's; everything else goes to where it was."""
    assert partition(letter(), codec.encode(row())) == HOME
    assert partition(letter(b"other"), codec.encode(row())) == ELSEWHERE
    assert partition(letter(None), codec.encode(row())) == ELSEWHERE
    assert partition(letter(), b"poison") == ELSEWHERE
    assert partition(letter(), None) == ELSEWHERE


REJECTED = RowRejected(
    job_id=7, record_number=1, line=2, sequence=0, column=None, code="X", reason="x", value=None,
    raw="",
)  # fmt: skip
DEFINED = AttributeDefined(
    name="email",
    type="string",
    is_reconciliation_key=False,
    is_indexed=False,
    defined_at=NOW,
    defined_by="x",
)


@pytest.mark.parametrize(
    ("event", "why"),
    [
        (row(job_id=7), "job 7"),
        (row(job_id=0), "job 0"),
        (REJECTED, "job 7"),
        (DEFINED, "AttributeDefined"),
    ],
)
def test_only_rows_of_other_producers_are_retried(event: Any, why: str) -> None:
    """What carries a job comes again by its pass; a definition must reach every partition."""
    with pytest.raises(IngestError) as refused:
        partition(letter(), codec.encode(event))
    assert status_of(type(refused.value)) == 409
    assert why in refused.value.message


@pytest.mark.parametrize(
    "headers",
    [{"source-topic": "other"}, {"source-partition": "6"}, {"source-partition": "-1"},
     {"source-partition": "x"}, {"source-partition": ""}],
)  # fmt: skip
def test_a_letter_that_does_not_say_where_it_was_is_not_retried(headers: dict[str, str]) -> None:
    """Whoever wrote it, it was not this service."""
    with pytest.raises(IngestError) as refused:
        partition(letter(None, headers), codec.encode(row()))
    assert "which partition of user-events" in refused.value.message


def test_a_letter_from_before_a_move_goes_where_its_key_belongs_now() -> None:
    """Whatever it is, and wherever it was; what has no key belongs nowhere."""
    for value in (codec.encode(row()), b"poison", None):
        assert moved_partition(letter(), value, PARTITIONS) == HOME
        with pytest.raises(IngestError) as refused:
            moved_partition(letter(None), value, PARTITIONS)
        assert status_of(type(refused.value)) == 409
        assert "without a key" in refused.value.message
    with pytest.raises(IngestError) as refused:
        moved_partition(letter(), codec.encode(row(job_id=7)), PARTITIONS)
    assert "job 7" in refused.value.message


def test_a_letter_of_a_log_by_another_key_is_not_retried() -> None:
    """Its key is nobody's there, or somebody else's; the way out is told."""
    check_key("email", "email")
    for made_for, says in (
        ("mobileNumber", "with its user's email as the key"),
        (None, "job-events is gone"),
    ):
        with pytest.raises(IngestError) as refused:
            check_key(made_for, "email")
        assert status_of(type(refused.value)) == 409
        assert says in refused.value.message
        assert "send the event again" in refused.value.message


def test_ids_are_a_partition_and_an_offset() -> None:
    """Nothing else is one."""
    assert dead_letter_place("1-42") == (1, 42)
    for text in ("", "-", "1", "1-", "-1", "1-2-3", "+1-2", "1- 2", "٣-٤", "2147483648-1"):
        assert dead_letter_place(text) is None


@pytest.mark.parametrize("time_ms", [-1, 2**62])
def test_a_letter_without_anything_is_shown(time_ms: int) -> None:
    """Anybody may write to the topic: no headers, no key, no value, no time."""
    bare = DeadLetter(0, 0, time_ms, None, 0, {})
    assert dead_letter_view(bare, []).recorded_date is None
    shown = whole_dead_letter_view(bare, None, [])
    assert (shown.reason, shown.source_partition, shown.value_base64) == (None, None, None)
    assert shown.undecodable == "NULL_VALUE: the record has no value"


def test_an_event_is_shown_with_its_ids_as_texts() -> None:
    """63 bits are more than a number of JSON holds everywhere."""
    value = codec.encode(row(user_id=2**62, source="crm"))
    shown = whole_dead_letter_view(letter(), value, [])
    assert shown.event is not None
    assert (shown.event["user_id"], shown.event["source"]) == (str(2**62), "crm")
    assert shown.event["occurred_at"] == "2026-03-01T00:00:00+00:00"


HERE = LogPartition(HOME, PARTITIONS, "email")
RULES = ProducerRowRules(HERE, {"n": Attribute("n", "number", False, False)}, [])


@pytest.mark.parametrize(
    ("event", "key", "code", "says"),
    [
        (row(), None, "NULL_KEY", f"must have the row's, b'{KEY}'"),
        (row(), b"\x00x", "KEY_MISMATCH", rf"key is b'\x00x' and the row's b'{KEY}'"),
        (row(key=""), b"", "KEY_MISSING", "normalised reconciliation key"),
        (row(key="k" * 1025), b"k" * 1025, "KEY_TOO_LONG", "has 1025 bytes, and may have 1024"),
        (row(mode="delsert"), KEY.encode(), "MODE_NOT_ALLOWED", "upload a file"),
        (row(mode="insert", user_id=7), KEY.encode(), "MODE_NOT_ALLOWED", "means user 7"),
        (row(last_name="\0"), KEY.encode(), "NUL_CHARACTER", "last_name"),
        (row(attributes={"n": "\0"}), KEY.encode(), "NUL_CHARACTER", "attributes"),
        (row(source="rollcall-api", event_id="a b"), KEY.encode(), "EVENT_ID_INVALID", "'a b'"),
        (row(event_id=None), KEY.encode(), "EVENT_ID_MISSING", "has no event_id"),
        (row(event_id=""), KEY.encode(), "EVENT_ID_MISSING", "has no event_id"),
        (row(key="Kim@x.org "), b"Kim@x.org ", "KEY_NOT_NORMALISED", "which is 'kim@x.org'"),
        (row(key=" "), b" ", "KEY_NOT_NORMALISED", "is not the normalised email"),
        (row(first_name=" Kim"), KEY.encode(), "TEXT_NOT_TRIMMED", "first_name is empty, or"),
        (row(country=""), KEY.encode(), "TEXT_NOT_TRIMMED", "country is empty, or"),
        (row(state="x" * 256), KEY.encode(), "TOO_LONG", "state is longer than 255 characters"),
        (row(email="kim"), KEY.encode(), "EMAIL_INVALID", "It is 'kim'"),
        (row(mobile_number="0049 30"), KEY.encode(), "MOBILE_INVALID", "such as +14155550123"),
        (row(email="Lee@x.org"), KEY.encode(), "KEY_FIELD_MISMATCH", "it is 'Lee@x.org', and"),
        (row(attributes={"m": "1"}), KEY.encode(), "ATTRIBUTE_UNKNOWN", "m is no attribute"),
        (row(attributes={"n": "x"}), KEY.encode(), "ATTRIBUTE_INVALID", "which is number"),
    ],
)
def test_a_reason_names_what_decided(event: UserRow, key: bytes, code: str, says: str) -> None:
    """And what it should be."""
    refusal = RULES.refusal(event, key, 0)
    assert refusal is not None
    assert refusal.code == code
    assert says in refusal.reason


@pytest.mark.parametrize(
    ("setting", "key", "says"),
    [
        ("mobileNumber", "0049 30 123456", "normalised mobile_number, which is '+4930123456'"),
        ("mobileNumber", "030 123456", "is no phone number in E.164"),
        ("n", "01", "normalised n, which is '1'"),
        ("n", "one", "is no number in canonical text"),
        ("s", "A1 ", "normalised s, which is 'A1'"),
    ],
)
def test_a_key_must_be_as_an_upload_writes_it(setting: str, key: str, says: str) -> None:
    """Whatever the reconciliation key is; no upload would ever reach such a user."""
    refusal = _refusal(row(key=key), setting)
    assert refusal is not None
    assert refusal.code == "KEY_NOT_NORMALISED"
    assert says in refusal.reason


KEY_ATTRIBUTES = {"n": Attribute("n", "number", True), "s": Attribute("s", "string", True)}


def _refusal(event: UserRow, setting: str) -> Refusal | None:
    """By the rules of a log with that key, in the partition of the event's."""
    key = event.key.encode()
    here = LogPartition(partition_of(key, PARTITIONS), PARTITIONS, setting)
    return ProducerRowRules(here, KEY_ATTRIBUTES, []).refusal(event, key, 0)


@pytest.mark.parametrize(
    ("setting", "event"),
    [
        ("mobileNumber", row(key="+4930123456", mobile_number="+4930123456", present=8)),
        ("mobileNumber", row(key="+4930123456", email="Kim@x.org", mode="upsert")),
        ("mobileNumber", row(key="no number", mode="delete")),
        ("n", row(key="-0.5", attributes={"n": "-0.5"})),
        ("n", row(key="-0.5", mode="delete", first_name=" ")),
        ("s", row(key="Card 1", attributes={"n": "7"})),
        ("unknown", row(key="Card 1", mode="delete")),
        ("email", row(email="KIM@Example.com")),
        ("email", row(email=None, present=1023)),
    ],
)
def test_a_row_that_an_upload_could_have_made_is_allowed(setting: str, event: UserRow) -> None:
    """An upsert needs not say its key's field; a delete of what is nobody's key deletes nobody."""
    assert _refusal(event, setting) is None


@pytest.mark.parametrize(
    ("setting", "event", "code"),
    [
        ("mobileNumber", row(key="+4930123456", mobile_number="+4930123457"), "KEY_FIELD_MISMATCH"),
        ("mobileNumber", row(key="+4930123456", present=8), "KEY_FIELD_MISMATCH"),
        ("mobileNumber", row(key="+4930123456", mode="insert"), "KEY_FIELD_MISMATCH"),
        ("s", row(key="A", attributes={"s": "a"}), "KEY_FIELD_MISMATCH"),
        ("s", row(key="A", attributes={"s": None}), "KEY_FIELD_MISMATCH"),
        ("s", row(key="A", mode="insert"), "KEY_FIELD_MISMATCH"),
        ("unknown", row(key="A"), "ATTRIBUTE_UNKNOWN"),
    ],
)
def test_a_user_keeps_the_key_that_its_field_says(setting: str, event: UserRow, code: str) -> None:
    """Or uploads would take it for another one."""
    refusal = _refusal(event, setting)
    assert refusal is not None
    assert refusal.code == code


def test_a_key_counts_from_the_definition_of_its_attribute_on() -> None:
    """Nobody has one before."""
    definition = replace(DEFINED, name="card", is_reconciliation_key=True)
    key = b"A1"
    here = LogPartition(partition_of(key, PARTITIONS), PARTITIONS, "card")
    rules = ProducerRowRules(here, {}, [(3, definition)])
    event = row(key="A1", attributes={"card": "A1"})
    refusal = rules.refusal(event, key, 2)
    assert refusal is not None
    assert refusal.code == "ATTRIBUTE_UNKNOWN"
    assert rules.refusal(event, key, 4) is None


def test_a_misrouted_record_is_told_both_partitions() -> None:
    """Its own and that of its key, and that a retry mends it."""
    record = MemoryRecord(KEY.encode(), codec.encode(row(source="crm")), 5)
    elsewhere = LogPartition(ELSEWHERE, PARTITIONS, "email")
    (found,) = decode_records([record], elsewhere).dead_letters
    assert (found.code, found.source) == ("MISROUTED", "crm")
    wrong = f"in partition {ELSEWHERE}, and its key belongs to partition {HOME} of 6"
    assert wrong in found.detail
    assert "a retry of this letter puts it in the right one" in found.detail


def test_a_detail_is_bounded_and_controls_nothing() -> None:
    """However long what is wrong is; PostgreSQL holds no NUL."""
    detail = with_way_out("MALFORMED", "MALFORMED: " + "x\0" * 10_000)
    assert len(detail) < 1000
    assert "\0" not in detail
    assert detail.startswith(r"x\x00x")
