"""A pass is a pure function of the file and of what was accepted."""

from __future__ import annotations

import io
import json
import random
import zlib
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import fastavro
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest_api.errors import RulesUnknownError
from ingest_api.event_log.ledger import LedgerJob
from ingest_api.parsing.errors import FileFault
from ingest_api.parsing.file_format import Limits
from ingest_api.publisher.encode_pass import FilePass
from ingest_api.publisher.failing_jobs import check_rules
from schemas.clients.event_schemas import OWN_SCHEMAS
from schemas.codec import codec
from schemas.codec.framing import Schema, confluent_frame, forgetting_ids, frame_of, learn
from schemas.events import JOB_MODES, NO_JOB, AttributeColumn, RowRejected, UserRow
from schemas.log.passes import is_misattributed
from schemas.log.topics import partition_of
from tests.support.data.corpus.values import ATTRIBUTES
from tests.support.data.files import dirty_csv, tidy_csv
from tests.support.data.schema_versions import VERSIONS
from tests.support.models.file_oracle import accepted_job, read_events
from tests.support.models.validated_events import COLUMNS

if TYPE_CHECKING:
    from schemas.events import JobAccepted

Log = list[list[tuple[bytes, bytes]]]


def pass_over(
    content: bytes, job: JobAccepted, partitions: int, block_bytes: int = 1 << 20
) -> tuple[FilePass, Log]:
    """A whole pass, and keys and values by partition."""
    made = FilePass(io.BytesIO(content), job, partitions, Limits(block_bytes=block_bytes))
    log: Log = [[] for _ in range(partitions)]
    for block in made.blocks():
        for partition, (keys, values) in block.items():
            log[partition] += zip(keys, values, strict=True)
    return made, log


def expected_log(content: bytes, job: JobAccepted, partitions: int) -> Log:
    """The same, an event at a time."""
    log: Log = [[] for _ in range(partitions)]
    for event in read_events(content, job):
        is_row = isinstance(event, UserRow)
        key = (event.key if is_row else f"{job.job_id}/{event.record_number}").encode()
        partition = log[partition_of(key, partitions)]
        partition.append((key, codec.encode(replace(event, sequence=len(partition)))))
    return log


@given(
    st.integers(0, 10**6),
    st.sampled_from(JOB_MODES),
    st.integers(1, 7),
    st.sampled_from([200, 1000, 5000, 1 << 20]),
)
@settings(deadline=None, max_examples=40)
def test_a_pass_is_what_its_lines_come_to(
    seed: int, mode: str, partitions: int, block_bytes: int
) -> None:
    """Keys, values, sequences and seals are those made a line at a time, in blocks of any size."""
    content = dirty_csv(random.Random(seed), 60, keys=30, faults=0.2)
    job = accepted_job(mode=mode)
    expected = expected_log(content, job, partitions)

    made, log = pass_over(content, job, partitions, block_bytes)

    assert log == expected
    rows = [codec.decode(value) for partition in log for _, value in partition]
    assert not any(isinstance(row, UserRow) and is_misattributed(row) for row in rows)
    assert made.rows == [len(partition) for partition in expected]
    assert made.digests == [
        zlib.crc32(b"".join(value for _, value in partition)) for partition in expected
    ]


@given(
    st.integers(0, 10**6),
    st.sampled_from(["insert", "upsert"]),
    st.sampled_from(["keep", "clear"]),
    st.sampled_from(["email", "Shoe Size"]),
    st.sampled_from([200, 1000, 1 << 20]),
)
@settings(deadline=None, max_examples=40)
def test_custom_attributes_come_out_in_the_order_of_columns(
    seed: int, mode: str, blank_cells: str, key: str, block_bytes: int
) -> None:
    """Byte for byte as made a line at a time, so every pass gives the same digests."""
    cells = {name: ["", "1", "0", "2024-02-29", "no", " 1.50 "] for name in ATTRIBUTES}
    content = dirty_csv(random.Random(seed), 60, keys=30, faults=0.2, more=cells)
    columns = tuple(AttributeColumn(name, kind) for name, kind in ATTRIBUTES.items())
    job = accepted_job(
        mode=mode, blank_cells=blank_cells, reconciliation_key=key, attributes=columns
    )

    _, log = pass_over(content, job, 3, block_bytes)

    assert log == expected_log(content, job, 3)


@pytest.mark.parametrize("row_version", range(len(VERSIONS["UserRow"])))
@pytest.mark.parametrize("rejection_version", range(len(VERSIONS["RowRejected"])))
def test_a_pass_is_written_in_the_schemas_that_the_job_names(
    row_version: int, rejection_version: int
) -> None:
    """So another version of Rollcall, or one with a registry, ends what the first has begun."""
    row_schema = Schema(UserRow, json.dumps(VERSIONS["UserRow"][row_version]))
    rejection_schema = Schema(RowRejected, json.dumps(VERSIONS["RowRejected"][rejection_version]))
    content = dirty_csv(random.Random(3), 60, keys=30, faults=0.2)
    plain = accepted_job(mode="upsert")
    job = replace(plain, row_frame=row_schema.frame, rejection_frame=rejection_schema.frame)
    expected: Log = [[], []]
    for partition, records in zip(expected, expected_log(content, plain, 2), strict=True):
        for key, value in records:
            event: Any = codec.decode(value)
            schema = row_schema if isinstance(event, UserRow) else rejection_schema
            body = io.BytesIO()
            fields = {name: getattr(event, name) for name in schema.names}
            fastavro.schemaless_writer(body, schema.parsed, fields, strict=True)
            partition.append((key, schema.frame + body.getvalue()))

    made, log = pass_over(content, job, 2)

    assert log == expected
    assert made.digests == [zlib.crc32(b"".join(value for _, value in each)) for each in expected]


_EVERY_RULE: Final = Path(__file__).with_name("every-rule.csv").read_bytes()
_DIGESTS: Final = {
    ("insert", 1): 2665417688,
    ("insert", 2): 2665417688,
    ("insert", 3): 610654694,
    ("upsert", 1): 2545624823,
    ("upsert", 2): 2545624823,
    ("upsert", 3): 4141578587,
}
"""By mode and version of the rules. Add entries for a new version; never change one."""


@pytest.mark.parametrize(("mode", "version"), _DIGESTS)
def test_a_pass_has_the_bytes_that_it_had(mode: str, version: int) -> None:
    """Another word in a reason, or another library, needs another version of the rules."""
    job = accepted_job(
        mode=mode,
        rules_version=version,
        unknown_columns="ignore",
        attributes=COLUMNS,
        row_frame=bytes.fromhex("c301be6bca7491968962"),
        rejection_frame=bytes.fromhex("c3011dd1562d36c1ea2e"),
    )

    made, _ = pass_over(_EVERY_RULE, job, 1)

    assert made.rows == [241]
    assert made.digests == [_DIGESTS[mode, version]]


@pytest.mark.parametrize(
    "frame",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"\xc3\x01" + b"x" * 8, id="an unknown schema"),
        pytest.param(frame_of(RowRejected), id="a schema of another type"),
        pytest.param(confluent_frame(77), id="an id without a registry"),
    ],
)
def test_schemas_that_are_not_known_are_not_guessed(frame: bytes) -> None:
    """A later version may have accepted the job, or one with a schema registry."""
    job = LedgerJob(accepted_job(row_frame=frame), offset=0, previous_job_id=NO_JOB)
    with pytest.raises(RulesUnknownError, match="finish the upgrade, or set ROLLCALL_SCHEMA_REGIS"):
        check_rules(job, OWN_SCHEMAS)


def test_a_registered_schema_is_written_where_it_is_one_of_ours() -> None:
    """One that lacks a field, or has a time in other units, would change the rows."""
    ours: dict[str, Any] = VERSIONS["UserRow"][-1]
    shorter = ours | {"fields": [each for each in ours["fields"] if each["name"] != "sequence"]}
    in_millis = json.loads(json.dumps(ours).replace("timestamp-micros", "timestamp-millis"))
    with forgetting_ids():
        for schema_id, schema in enumerate([ours, shorter, in_millis], 1):
            learn(schema_id, json.dumps(schema))
        jobs = [accepted_job(row_frame=confluent_frame(schema_id)) for schema_id in (1, 2, 3)]
        first, *others = (LedgerJob(job, offset=0, previous_job_id=NO_JOB) for job in jobs)
        check_rules(first, OWN_SCHEMAS)
        for job in others:
            with pytest.raises(RulesUnknownError, match="finish the upgrade"):
                check_rules(job, OWN_SCHEMAS)


def test_rows_and_rejections_share_a_sequence() -> None:
    """In each partition the lines are numbered from 0, in the order of the file."""
    content = dirty_csv(random.Random(1), 500, keys=100, faults=0.5)

    _, log = pass_over(content, accepted_job(), 3)

    for partition in log:
        events = [codec.decode(value) for _, value in partition]
        rows = [event for event in events if isinstance(event, UserRow | RowRejected)]
        assert [row.sequence for row in rows] == list(range(len(partition)))
        assert len({type(row) for row in rows}) == 2
        numbers = [row.record_number or 0 for row in rows]
        assert numbers == sorted(numbers)


def test_a_file_of_many_blocks_is_one_pass() -> None:
    """Sequences, lines and record numbers go on from block to block."""
    content = tidy_csv(range(30_000))

    made, log = pass_over(content, accepted_job(), 2, 1 << 18)
    _, whole = pass_over(content, accepted_job(), 2, 1 << 24)

    assert log == whole
    assert sum(made.rows) == 30_000
    last = codec.decode(max(log, key=len)[-1][1])
    assert isinstance(last, UserRow)
    assert last.line == (last.record_number or 0) + 1


def test_a_pass_over_another_file_fails() -> None:
    """What is not the accepted file raises; it never comes to an end that looks whole."""
    with pytest.raises(FileFault):
        pass_over(b"\x89PNG", accepted_job(), 2)


def test_limits_lowered_later_do_not_stop_a_pass() -> None:
    """What was taken once is read again, however the limits are set by now."""
    content = b"Email,First Name\na@b.cd," + b" " * 2_000_000 + b"\n"

    made = FilePass(io.BytesIO(content), accepted_job(mode="upsert"), 1)

    assert sum(len(values) for block in made.blocks() for _, values in block.values()) == 1
