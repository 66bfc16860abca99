"""Both framings, other writers' schemas and poison, one value at a time and in batches."""

from __future__ import annotations

import copy
import io
import json
from dataclasses import asdict, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import fastavro
import pytest
from hypothesis import given
from hypothesis import strategies as st

from processor.decoding.decode_records import decode_records
from processor.decoding.producer_rules import LogPartition
from schemas.codec import codec, columnar, framing
from schemas.events import AttributeDefined, JobOpened, JobSealed, JobVoided, RowRejected, UserRow
from schemas.log.topics import partition_of
from schemas.rules.attributes import Attribute
from tests.support.data.passes import MemoryRecord
from tests.support.data.schema_versions import VERSIONS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from processor.decoding.batch import Batch
    from tests.support.data.schema_versions import Schema

pytestmark = pytest.mark.usefixtures("either_codec")
NOW = datetime(2026, 7, 1, 12, tzinfo=UTC)
PARTITIONS = 3
OURS, THEIRS = 7, 8
"""Ids of our current schema of a user's row, and of the schema of a test."""
ROW = UserRow(
    event_id="event 1",
    mode="upsert",
    key="kim@example.com",
    first_name="Kim",
    last_name="Lee",
    email="kim@example.com",
    country="Japan",
    attributes={"tier": "gold"},
    present=0b10111,
    occurred_at=NOW,
    source="crm",
)
REJECTED = RowRejected(
    job_id=5,
    record_number=1,
    line=2,
    sequence=0,
    column=None,
    code="EMAIL",
    reason="no",
    value=None,
    raw="x",
)


@pytest.fixture(autouse=True, scope="module")
def ids() -> Iterator[None]:
    """One id is known, and nothing that these tests learn stays."""
    with framing.forgetting_ids():
        framing.learn(OURS, framing.text_of(UserRow))
        yield


def _by_id(value: bytes, schema_id: int = OURS) -> bytes:
    """A value in Avro single-object encoding, in the Confluent wire format."""
    return framing.confluent_frame(schema_id) + value[framing.FRAME_BYTES :]


def _written(schema: Schema, values: dict[str, Any], schema_id: int = THEIRS) -> bytes:
    """What a writer with this schema sends; the codec has learned its id."""
    framing.learn(schema_id, json.dumps(schema))
    body = io.BytesIO()
    fastavro.schemaless_writer(body, fastavro.parse_schema(schema, named_schemas={}), values)
    return framing.confluent_frame(schema_id) + body.getvalue()


def _decoded(values: Sequence[bytes | None]) -> Batch:
    records = [MemoryRecord(ROW.key.encode(), value, offset) for offset, value in enumerate(values)]
    partition = partition_of(ROW.key.encode(), PARTITIONS)
    place = LogPartition(partition, PARTITIONS, "email")
    return decode_records(records, place, {"tier": Attribute("tier", "string")})


def _rows(batch: Batch) -> list[dict[str, Any]]:
    return batch.rows.to_pylist()


def _current() -> Schema:
    return copy.deepcopy(VERSIONS["UserRow"][-1])


def _field(schema: Schema, name: str) -> Schema:
    return next(field for field in schema["fields"] if field["name"] == name)


def _added(schema: Schema) -> None:
    schema["fields"].insert(3, {"name": "shoe_size", "type": "double"})
    schema["fields"].append({"name": "tags", "type": {"type": "array", "items": "string"}})


def _removed(schema: Schema) -> None:
    for name in ("user_id", "raw", "voice_subscription"):
        schema["fields"].remove(_field(schema, name))


def _reordered(schema: Schema) -> None:
    schema["fields"].reverse()


def _with_symbol(schema: Schema) -> None:
    _field(schema, "mode")["type"]["symbols"].insert(0, "merge")


def _narrower(schema: Schema) -> None:
    _field(schema, "first_name").update(type="string", default="")
    _field(schema, "job_id")["type"] = ["null", "int"]


WRITERS = [_added, _removed, _reordered, _with_symbol, _narrower]
MORE = {"shoe_size": 42.5, "tags": ["a", "b"]}


@pytest.mark.parametrize("change", WRITERS)
def test_older_and_newer_writers_are_read(change: Callable[[Schema], None]) -> None:
    """A field added, removed, moved, a symbol added, a type that ours takes: the same event."""
    schema = _current()
    change(schema)
    value = _written(schema, asdict(ROW) | MORE)
    assert codec.decode(value) == ROW
    batch = _decoded([codec.encode(ROW), value, _by_id(codec.encode(ROW))])
    assert batch.dead_letters == []
    first, second, third = _rows(batch)
    assert first == second == third


@given(st.permutations(range(4)))
def test_a_batch_may_mix_framings_and_writers(order: list[int]) -> None:
    """Rows keep their places, whatever wrote them, and the values stay as they are in the log."""
    newer = _current()
    _added(newer)
    older = VERSIONS["UserRow"][0]
    known = {field["name"] for field in older["fields"]}
    rows = [replace(ROW, first_name=f"Kim {number}") for number in range(4)]
    values = [
        codec.encode(rows[0]),
        _by_id(codec.encode(rows[1])),
        _written(newer, asdict(rows[2]) | MORE, 20),
        _written(older, {name: v for name, v in asdict(rows[3]).items() if name in known}, 21),
    ]
    sent = [values[place] for place in order]
    batch = _decoded(sent)
    assert batch.dead_letters == []
    assert batch.values == sent
    assert [row["first_name"] for row in _rows(batch)] == [f"Kim {place}" for place in order]
    assert batch.row_offsets.tolist() == [0, 1, 2, 3]


def test_a_symbol_that_is_not_known_is_not_taken_for_another() -> None:
    """The enum's default is for readers elsewhere; here nobody said what to apply."""
    schema = _current()
    _with_symbol(schema)
    value = _written(schema, asdict(ROW) | {"mode": "merge"})
    batch = _decoded([value, codec.encode(ROW)])
    assert [letter.code for letter in batch.dead_letters] == ["UNKNOWN_SYMBOL"]
    assert len(_rows(batch)) == 1


def test_our_own_events_are_read_by_id() -> None:
    """Brackets, definitions and rejections as well as rows; written by id once ids are set."""
    with framing.forgetting_ids():
        types = (UserRow, RowRejected, JobOpened, JobSealed, AttributeDefined)
        framing.write_by_ids({event_type: 100 + at for at, event_type in enumerate(types)})
        sealed = JobSealed(job_id=5, rows=2, digest=0)
        defined = AttributeDefined(
            name="tier",
            type="string",
            is_reconciliation_key=False,
            is_indexed=False,
            defined_at=NOW,
            defined_by="admin",
        )
        values = [codec.encode(event) for event in (defined, ROW, REJECTED, sealed)]
        assert {value[0] for value in values} == {0}
        batch = _decoded(values)
        assert batch.dead_letters == []
        assert [(each.at, each.event) for each in batch.controls] == [(0, defined), (3, sealed)]
        assert len(_rows(batch)) == 1
        assert batch.is_rejection.tolist() == [False, False, True, False]


def test_a_time_in_milliseconds_is_the_same_time_beside_a_malformed_record() -> None:
    """Java's producers write it so; how a batch was cut decides nothing."""
    schema = copy.deepcopy(VERSIONS["UserRow"][-1])
    (occurred_at,) = (each for each in schema["fields"] if each["name"] == "occurred_at")
    occurred_at["type"] = {"type": "long", "logicalType": "timestamp-millis"}
    written = _written(schema, asdict(ROW))

    alone, beside = _decoded([written]), _decoded([written, b"malformed"])

    assert alone.rows.column("occurred_at").to_pylist() == [NOW.replace(tzinfo=None)]
    assert beside.rows.column("occurred_at").to_pylist() == [NOW.replace(tzinfo=None)]


def test_rejections_of_another_writer_are_rows_of_the_job() -> None:
    """A publisher of another version may have written some lines of a pass."""
    schema = copy.deepcopy(VERSIONS["RowRejected"][-1])
    schema["fields"].append({"name": "severity", "type": "int"})
    batch = _decoded([_written(schema, asdict(REJECTED) | {"severity": 1}), codec.encode(REJECTED)])
    assert batch.dead_letters == []
    assert batch.job_ids.tolist() == [5, 5]


def test_batches_are_written_by_id_with_the_bytes_of_the_oracle() -> None:
    """Only the frame differs."""
    with framing.forgetting_ids():
        framing.learn(OURS, framing.text_of(UserRow))
        described = codec.encode(ROW)
        batch = columnar.decode_batch(UserRow, [described, _by_id(described)])
        framing.write_by_ids({UserRow: OURS})
        values = columnar.encode_batch(framing.frame_of(UserRow), batch).to_pylist()
        assert values == [_by_id(described)] * 2
        assert codec.encode(ROW) == _by_id(described)


BODY = codec.encode(ROW)[framing.FRAME_BYTES :]
MODE_AT = BODY.index(b"event 1") + len(b"event 1")
KEY_AT = MODE_AT + 1
MAP_AT = BODY.index(b"\x08tier") - 1
HUGE = b"\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01"
"""2 ** 62, zigzag."""


def _with(at: int, piece: bytes) -> bytes:
    return BODY[:at] + piece + BODY[at + 1 :]


POISON = {
    "truncated": (BODY[:-3], "MALFORMED"),
    "empty": (b"", "MALFORMED"),
    "trailing bytes": (BODY + b"\0", "TRAILING_BYTES"),
    "enum index out of range": (_with(MODE_AT, b"\x10"), "MALFORMED"),
    "enum index negative": (_with(MODE_AT, b"\x01"), "MALFORMED"),
    "union index 9": (_with(0, b"\x12"), "MALFORMED"),
    "union index negative": (_with(0, b"\x01"), "MALFORMED"),
    "length 2^62": (_with(KEY_AT, HUGE), "MALFORMED"),
    "length negative": (_with(KEY_AT, b"\x01"), "MALFORMED"),
    "bad UTF-8": (BODY.replace(b"Kim", b"\xff\xfe\xfd"), "MALFORMED"),
    "11-byte varint": (_with(0, b"\x80" * 10 + b"\x00"), "MALFORMED"),
    "varint beyond 64 bits": (_with(0, b"\x80" * 9 + b"\x02"), "MALFORMED"),
    "map count 2^62": (_with(MAP_AT, HUGE), "MALFORMED"),
    "map block with a wrong size": (_with(MAP_AT, b"\x01\x02"), "MALFORMED"),
    "map block with a negative size": (_with(MAP_AT, b"\x01\x01"), "MALFORMED"),
    "NUL in a text": (BODY.replace(b"Kim", b"K\0m"), "NUL_CHARACTER"),
    "10 MB": (b"\xff" * 10_000_000, "MALFORMED"),
}


@pytest.mark.parametrize("by_id", [False, True])
@pytest.mark.parametrize("name", sorted(POISON))
def test_poison_is_put_aside_alone(name: str, by_id: bool) -> None:
    """In both framings: an exact copy and its reason, and its neighbours are applied."""
    body, code = POISON[name]
    frame = framing.confluent_frame(OURS) if by_id else framing.frame_of(UserRow)
    good = codec.encode(ROW)
    batch = _decoded([good, frame + body, _by_id(good)])
    found = [(each.code, each.value, each.offset) for each in batch.dead_letters]
    assert found == [(code, frame + body, 1)]
    assert batch.row_offsets.tolist() == [0, 2]


def test_poison_among_many_is_found_by_halving(monkeypatch: pytest.MonkeyPatch) -> None:
    """A batch with a bad record is decoded in few steps; the others are not looked at alone."""
    good, bad = codec.encode(ROW), framing.frame_of(UserRow) + POISON["10 MB"][0][:9]
    decoded: list[int] = []
    whole = columnar.decode_batch

    def counted(event_type: type[UserRow], values: Sequence[bytes]) -> Any:
        decoded.append(len(values))
        return whole(event_type, values)

    monkeypatch.setattr(columnar, "decode_batch", counted)
    batch = _decoded([good] * 700 + [bad] + [good] * 1300)
    assert [each.offset for each in batch.dead_letters] == [700]
    assert len(batch.row_offsets) == 2000
    assert len(decoded) < 50


FRAMES = {
    "null value": (None, "NULL_VALUE"),
    "empty value": (b"", "NOT_FRAMED"),
    "JSON": (b'{"key": "kim@example.com"}', "NOT_FRAMED"),
    "no Avro": (b"not Avro at all", "NOT_FRAMED"),
    "a fingerprint cut off": (framing.MARKER + b"1234", "NOT_FRAMED"),
    "an id cut off": (b"\0\0\0\0", "NOT_FRAMED"),
    "an unknown fingerprint": (framing.MARKER + b"12345678" + BODY, "UNKNOWN_SCHEMA"),
    "an unknown id": (framing.confluent_frame(99) + BODY, "UNKNOWN_SCHEMA"),
    "a negative id": (b"\0\xff\xff\xff\xff" + BODY, "UNKNOWN_SCHEMA"),
    "both frames": (framing.confluent_frame(OURS) + codec.encode(ROW), "MALFORMED"),
    "the reverse": (framing.frame_of(UserRow) + _by_id(codec.encode(ROW)), "MALFORMED"),
    "protobuf framing": (framing.confluent_frame(OURS) + b"\0" + BODY, "MALFORMED"),
    "an event of another topic": (codec.encode(JobVoided(job_id=1, attempt="")), "UNEXPECTED_TYPE"),
}


@pytest.mark.parametrize("name", sorted(FRAMES))
def test_a_wrong_frame_is_put_aside_alone(name: str) -> None:
    """Whatever stands where a frame should."""
    value, code = FRAMES[name]
    good = codec.encode(ROW)
    batch = _decoded([good, value, _by_id(good)])
    assert [(each.code, each.value) for each in batch.dead_letters] == [(code, value)]
    assert batch.row_offsets.tolist() == [0, 2]


@given(st.binary(max_size=80))
def test_any_bytes_by_an_id_decode_or_are_refused(body: bytes) -> None:
    """Resolution meets nothing that was not measured before."""
    schema = _current()
    _added(schema)
    framing.learn(THEIRS, json.dumps(schema))
    for schema_id in (OURS, THEIRS):
        batch = _decoded([framing.confluent_frame(schema_id) + body])
        assert len(batch.dead_letters) + len(_rows(batch)) == 1


@given(st.lists(st.sampled_from([OURS, 99, 100, 101]), max_size=8))
def test_unknown_ids_are_found_where_they_are_first(ids: list[int]) -> None:
    """Each with the index of its first value; other values have none."""
    values = [codec.encode(ROW), None, b"", b"\0\0", b"\0\xff\xff\xff\xff\0"]
    values += [framing.confluent_frame(schema_id) + BODY for schema_id in ids]
    expected = {each: 5 + ids.index(each) for each in ids if each != OURS}
    assert framing.unknown_ids(values) == expected


def test_refused_ids_do_not_pile_up() -> None:
    """A flood of records with made-up ids takes bounded memory; the last ones stay known."""
    with framing.forgetting_ids():
        for schema_id in range(1000, 12_000):
            framing.refuse(schema_id, "UNKNOWN_SCHEMA", "x")
        assert sum(map(framing.is_known, range(1000, 12_000))) == 10_000
        assert framing.is_known(11_999)
        assert not framing.is_known(1000)


def test_an_id_that_was_not_registered_may_come_to_be() -> None:
    """A dead letter can be tried again then; what cannot be resolved never can."""
    with framing.forgetting_ids():
        framing.refuse(50, "UNKNOWN_SCHEMA", "not there")
        framing.learn(51, json.dumps("string"))
        framing.forget_unregistered()
        assert not framing.is_known(50)
        assert framing.is_known(51)
