"""Events keep their values and bytes through either codec."""

from __future__ import annotations

import contextlib
import io
import json
from dataclasses import asdict, fields, replace
from datetime import UTC, date, datetime
from functools import cache
from importlib import resources
from typing import Any, cast

import fastavro
import fastavro.schema
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas import events
from schemas.codec import codec, columnar, framing
from schemas.rules.modes import MODES

of_batches = pytest.mark.usefixtures("either_codec")
text = st.text(st.characters(exclude_categories=("Cs",)), max_size=20)
int64 = st.integers(-(2**63), 2**63 - 1)
int32 = st.integers(-(2**31), 2**31 - 1)
moment = st.datetimes(
    datetime(1970, 1, 1),  # noqa: DTZ001 - hypothesis takes naive bounds and adds the zone
    datetime(2200, 1, 1),  # noqa: DTZ001 - as above
    timezones=st.just(UTC),
)
day = st.dates(date(1900, 1, 1), date(2200, 1, 1))
job_mode = st.sampled_from(events.JOB_MODES)
attribute_type = st.sampled_from(["string", "number", "boolean", "date"])

user_rows = st.builds(
    events.UserRow,
    job_id=st.none() | int64,
    record_number=st.none() | int32,
    line=st.none() | int32,
    sequence=st.none() | int64,
    event_id=st.none() | text,
    mode=st.sampled_from(["insert", "upsert", "delsert", "delete"]),
    key=text,
    first_name=st.none() | text,
    last_name=st.none() | text,
    email=st.none() | text,
    mobile_number=st.none() | text,
    country=st.none() | text,
    state=st.none() | text,
    last_active_date=st.none() | day,
    sms_subscription=st.none() | st.booleans(),
    email_subscription=st.none() | st.booleans(),
    voice_subscription=st.none() | st.booleans(),
    # One entry: the order in which Arrow writes several is not fastavro's.
    attributes=st.dictionaries(text, st.none() | text, max_size=1),
    present=st.integers(0, 1023),
    occurred_at=moment,
    source=st.none() | text,
    raw=st.none() | text,
    user_id=st.none() | int64,
)
rejections = st.builds(
    events.RowRejected,
    job_id=int64,
    record_number=int32,
    line=int32,
    sequence=int64,
    column=st.none() | text,
    code=text,
    reason=text,
    value=st.none() | text,
    raw=text,
)
opened = st.builds(
    events.JobOpened,
    job_id=int64,
    previous_job_id=int64,
    mode=job_mode,
    lines=int64,
    file_name=st.none() | text,
    sha256=text,
    accepted_at=moment,
    accepted_by=text,
)
sealed = st.builds(events.JobSealed, job_id=int64, rows=int64, digest=int64)
accepted = st.builds(
    events.JobAccepted,
    job_id=int64,
    attempt=text,
    mode=job_mode,
    delimiter=text,
    charset=text,
    compression=text,
    blank_cells=text,
    reconciliation_key=text,
    rules_version=int32,
    accepted_at=moment,
    accepted_by=text,
    file_name=st.none() | text,
    size_bytes=int64,
    sha256=text,
    lines=int64,
    rejected_lines=int64,
    chunks=st.builds(
        events.ChunkRange, partition=int32, first_offset=int64, last_offset=int64, count=int32
    ),
    idempotency_key=st.none() | text,
    header=st.none() | text,
    attributes=st.lists(
        st.builds(events.AttributeColumn, name=text, type=attribute_type), max_size=3
    ).map(tuple),
)
defined = st.builds(
    events.AttributeDefined,
    name=text,
    type=attribute_type,
    is_reconciliation_key=st.booleans(),
    is_indexed=st.booleans(),
    defined_at=moment,
    defined_by=text,
)
configured = st.builds(events.LogConfigured, reconciliation_key=text, configured_at=moment)
changed = st.builds(
    events.AttributeChanged,
    name=text,
    label=st.none() | text,
    is_retired=st.booleans(),
    changed_at=moment,
    changed_by=text,
)
presets = st.builds(
    events.PresetDefined,
    name=text,
    options=st.none() | st.dictionaries(text, st.lists(text, max_size=2), max_size=2),
    defined_at=moment,
    defined_by=text,
)
voided = st.builds(events.JobVoided, job_id=int64, attempt=text)
reverted = st.builds(
    events.JobReverted,
    job_id=int64,
    attempt=text,
    requested_at=moment,
    requested_by=text,
    inserted=int64,
    updated=int64,
    unchanged=int64,
    rejected=int64,
    deleted=int64,
)
restored = st.builds(
    events.JobRestored, job_id=int64, attempt=text, requested_at=moment, requested_by=text
)
cancelled = st.builds(
    events.JobCancelled, job_id=int64, attempt=text, requested_at=moment, requested_by=text
)
queued = st.builds(
    events.UndoQueued, job_id=int64, attempt=text, requested_at=moment, requested_by=text
)
statuses = st.builds(
    events.JobStatus,
    job_id=int64,
    version=int64,
    state=st.sampled_from(["ACCEPTED", "PROCESSING", "COMPLETED", "COMPLETED_WITH_ERRORS"]),
    mode=job_mode,
    lines=int64,
    inserted=int64,
    updated=int64,
    unchanged=int64,
    rejected=int64,
    deleted=int64,
    file_name=st.none() | text,
    sha256=text,
    accepted_at=moment,
    accepted_by=text,
    started_at=moment,
    finished_at=st.none() | moment,
)
erased = st.builds(
    events.RowErased,
    job_id=st.none() | int64,
    record_number=st.none() | int32,
    line=st.none() | int32,
    sequence=st.none() | int64,
    outcome=st.sampled_from(["none", "inserted", "updated", "unchanged", "rejected", "refused"]),
)
moves = st.builds(
    events.LogMove,
    stage=st.sampled_from(["HELD", "RELEASED", "MOVED"]),
    version=int32,
    partitions=int32,
    command=text,
    recorded_at=moment,
)
any_event = st.one_of(
    user_rows,
    rejections,
    erased,
    moves,
    opened,
    sealed,
    accepted,
    voided,
    reverted,
    restored,
    cancelled,
    queued,
    statuses,
    defined,
    configured,
)

erased = st.builds(
    events.RowErased,
    job_id=st.none() | int64,
    record_number=st.none() | int32,
    line=st.none() | int32,
    sequence=st.none() | int64,
    outcome=st.sampled_from(["none", "inserted", "updated", "unchanged", "rejected", "refused"]),
)
events_by_name: dict[str, st.SearchStrategy[Any]] = {
    "UserRow": user_rows,
    "RowRejected": rejections,
    "RowErased": erased,
    "JobOpened": opened,
    "JobSealed": sealed,
    "JobAccepted": accepted,
    "JobVoided": voided,
    "JobReverted": reverted,
    "JobStatus": statuses,
    "AttributeDefined": defined,
    "LogConfigured": configured,
    "PresetDefined": presets,
    "AttributeChanged": changed,
}


@given(any_event)
def test_an_event_survives_encoding(event: events.Event) -> None:
    """What is decoded equals what was encoded, for every event type."""
    assert codec.decode(codec.encode(event)) == event


@of_batches
@given(st.lists(user_rows, min_size=1, max_size=5) | st.lists(rejections, min_size=1, max_size=5))
def test_batch_codec_gives_the_bytes_of_the_oracle(rows: list[Any]) -> None:
    """A batch is decoded from what fastavro wrote one by one, and becomes the same bytes again."""
    event_type = cast("type[events.UserRow]", type(rows[0]))
    values = [codec.encode(row) for row in rows]
    batch = columnar.decode_batch(event_type, values)
    assert columnar.encode_batch(framing.frame_of(event_type), batch).to_pylist() == values


@of_batches
@given(st.lists(user_rows, min_size=1, max_size=5))
def test_batch_codec_gives_the_values_of_the_oracle(rows: list[events.UserRow]) -> None:
    """A decoded batch holds the values of the events, column by column."""
    batch = columnar.decode_batch(events.UserRow, [codec.encode(row) for row in rows])
    for name in columnar.ROW_SCHEMA.names:
        column = cast("Any", batch.column(name))
        if name == "occurred_at":  # batches have naive UTC
            column = column.cast(pa.timestamp("us", tz="UTC"))
        values: list[Any] = column.to_pylist()
        expected = [getattr(row, name) for row in rows]
        assert [dict(v) if name == "attributes" else v for v in values] == expected


@given(any_event, st.binary(min_size=1, max_size=5))
def test_bytes_after_the_end_are_refused(event: events.Event, tail: bytes) -> None:
    """A value is consumed whole or not at all."""
    with pytest.raises(codec.UndecodableError) as refused:
        codec.decode(codec.encode(event) + tail)
    assert refused.value.code == "TRAILING_BYTES"


@given(any_event, st.data())
def test_a_truncated_value_is_refused(event: events.Event, data: st.DataObject) -> None:
    """A cut anywhere gives an UndecodableError, never another event or another exception."""
    value = codec.encode(event)
    cut = data.draw(st.integers(0, len(value) - 1))
    with pytest.raises(codec.UndecodableError):
        codec.decode(value[:cut])


@of_batches
@given(st.binary(max_size=60))
def test_hostile_bytes_are_refused_with_a_code(body: bytes) -> None:
    """Any bytes behind a known frame decode or are refused; neither codec crashes."""
    value = framing.frame_of(events.UserRow) + body
    with contextlib.suppress(codec.UndecodableError):
        codec.decode(value)
    with contextlib.suppress(ValueError):
        columnar.decode_batch(events.UserRow, [value])


@pytest.mark.parametrize(
    ("value", "code"),
    [
        (None, "NULL_VALUE"),
        (b"", "NOT_FRAMED"),
        (b"{}", "NOT_FRAMED"),
        (b"\x00\x00\x00\x00\x01\x02", "UNKNOWN_SCHEMA"),
        (b"\x00\x00\x00\x00", "NOT_FRAMED"),
        (b"\xc3\x01", "NOT_FRAMED"),
        (b"\xc3\x0112345678", "UNKNOWN_SCHEMA"),
    ],
)
def test_what_is_no_event_has_a_code(value: bytes | None, code: str) -> None:
    """The reason of a dead letter is exact."""
    with pytest.raises(codec.UndecodableError) as refused:
        codec.decode(value)
    assert refused.value.code == code


_OF_JOBS = (events.JobAccepted, events.JobOpened, events.JobStatus)
earlier_folder = resources.files("schemas").joinpath("avro", "earlier")
earlier_schemas = {
    file.name: json.loads(file.read_text())
    for file in earlier_folder.iterdir()
    if file.name.endswith(".avsc")
}


@cache
def parsed_earlier(name: str) -> Any:
    """The schema as fastavro writes by it."""
    return fastavro.parse_schema(earlier_schemas[name], named_schemas={})


@cache
def frame_of_earlier(name: str) -> bytes:
    """What stands before a value of that schema."""
    canonical = fastavro.schema.to_parsing_canonical_form(earlier_schemas[name])
    return framing.MARKER + bytes.fromhex(fastavro.schema.fingerprint(canonical, "CRC-64-AVRO"))


@pytest.mark.parametrize("name", sorted(earlier_schemas))
@given(data=st.data())
def test_values_of_earlier_schemas_are_read(name: str, data: st.DataObject) -> None:
    """What an earlier version wrote decodes to the event, new fields at their defaults."""
    event = data.draw(events_by_name[name.partition(".")[0]])
    known = {field["name"] for field in earlier_schemas[name]["fields"]}
    if isinstance(event, _OF_JOBS) and "variant" not in known:
        event = replace(event, mode=MODES[event.mode].row_mode)  # other modes came later
    values = {key: value for key, value in asdict(event).items() if key in known}
    if isinstance(event, _OF_JOBS) and "variant" in known:
        row_mode = MODES[event.mode].row_mode
        values |= {"mode": row_mode, "variant": None if row_mode == event.mode else event.mode}
    body = io.BytesIO()
    fastavro.schemaless_writer(body, parsed_earlier(name), values)
    decoded = codec.decode(frame_of_earlier(name) + body.getvalue())
    new = {field.name: field.default for field in fields(event) if field.name not in known}
    assert decoded == replace(event, **new)


def test_fingerprints_tell_the_types_apart() -> None:
    """Each event type has a frame of its own."""
    assert len({framing.frame_of(event_type) for event_type in framing.EVENT_TYPES}) == len(
        framing.EVENT_TYPES
    )
    assert all(framing.type_of(framing.frame_of(t)) == (t, True) for t in framing.EVENT_TYPES)
