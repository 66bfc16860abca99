"""What a dead letter says, and where its record goes when it is retried."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from ingest_api.dead_letter_log import DeadLetter
from ingest_api.dead_letter_shown import letter_shown, whole_letter_shown
from ingest_api.dead_letters import letter_place, retry_partition
from ingest_api.responses import Refused
from processor.batches import decode_records
from processor.dead_letter_details import with_way_out
from processor.foreign_rules import ForeignRules
from schemas import codec
from schemas.attributes import Attribute
from schemas.events import AttributeDefined, RowRejected, UserRow
from schemas.topics import partition_of
from tests.passes import MemoryRecord

if TYPE_CHECKING:
    from collections.abc import Mapping

PARTITIONS = 6
KEY = "kim@example.com"
HOME = partition_of(KEY.encode(), PARTITIONS)
ELSEWHERE = (HOME + 1) % PARTITIONS
NOW = datetime(2026, 3, 1, tzinfo=UTC)
TOPIC = "user-events"


def row(**values: Any) -> UserRow:
    """An event of another producer."""
    whole: dict[str, Any] = {"mode": "upsert", "key": KEY, "present": 0, "occurred_at": NOW}
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
    with pytest.raises(Refused) as refused:
        partition(letter(), codec.encode(event))
    assert refused.value.status == 409
    assert why in refused.value.message


@pytest.mark.parametrize(
    "headers",
    [{"source-topic": "other"}, {"source-partition": "6"}, {"source-partition": "-1"},
     {"source-partition": "x"}, {"source-partition": ""}],
)  # fmt: skip
def test_a_letter_that_does_not_say_where_it_was_is_not_retried(headers: dict[str, str]) -> None:
    """Whoever wrote it, it was not this service."""
    with pytest.raises(Refused) as refused:
        partition(letter(None, headers), codec.encode(row()))
    assert "which partition of user-events" in refused.value.message


def test_ids_are_a_partition_and_an_offset() -> None:
    """Nothing else is one."""
    assert letter_place("1-42") == (1, 42)
    for text in ("", "-", "1", "1-", "-1", "1-2-3", "+1-2", "1- 2", "٣-٤", "2147483648-1"):
        assert letter_place(text) is None


@pytest.mark.parametrize("time_ms", [-1, 2**62])
def test_a_letter_without_anything_is_shown(time_ms: int) -> None:
    """Anybody may write to the topic: no headers, no key, no value, no time."""
    bare = DeadLetter(0, 0, time_ms, None, 0, {})
    assert letter_shown(bare, []).recorded_date is None
    shown = whole_letter_shown(bare, None, [])
    assert (shown.reason, shown.source_partition, shown.value_base64) == (None, None, None)
    assert shown.undecodable == "NULL_VALUE: the record has no value"


def test_an_event_is_shown_with_its_ids_as_texts() -> None:
    """63 bits are more than a number of JSON holds everywhere."""
    value = codec.encode(row(user_id=2**62, source="crm"))
    shown = whole_letter_shown(letter(), value, [])
    assert shown.event is not None
    assert (shown.event["user_id"], shown.event["source"]) == (str(2**62), "crm")
    assert shown.event["occurred_at"] == "2026-03-01T00:00:00+00:00"


RULES = ForeignRules(HOME, PARTITIONS, {"n": Attribute("n", "number", False, False)}, [])


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


def test_a_misrouted_record_is_told_both_partitions() -> None:
    """Its own and that of its key, and that a retry mends it."""
    record = MemoryRecord(KEY.encode(), codec.encode(row(source="crm")), 5)
    (found,) = decode_records([record], ELSEWHERE, PARTITIONS).dead_letters
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
