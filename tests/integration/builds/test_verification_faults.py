"""Faults planted in the tables by hand: each is found, and named by what it is in."""

from __future__ import annotations

from typing import TYPE_CHECKING, LiteralString

import psycopg
import pytest
from psycopg import sql

from processor.errors import VerificationError
from processor.verification.findings import MOST_OF_A_KIND
from processor.verification.snapshot import snapshot
from schemas.codec import codec
from schemas.events import UserRow
from schemas.log.topics import partition_of
from tests.integration.projection.test_projection_histories import START, job_of
from tests.support.data.passes import MemoryRecord, make_pass
from tests.support.data.projection_scene import Scene
from tests.support.data.verified_scene import findings_of
from tests.support.servers.surroundings import PARTITIONS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.servers.surroundings import Ground

_KEY = "user3@example.com"
_PARTITION = partition_of(_KEY.encode(), PARTITIONS)
_ONE: LiteralString = f"key = '{_KEY}'"


@pytest.fixture
def projected(env: Ground) -> Iterator[Scene]:
    """An insert, a delsert with a repeated key, an upsert, and an event of another producer."""
    made = Scene(env)
    jobs = [
        job_of(
            0,
            "insert",
            [
                (key, "Ada", "L", "", "France", "", "", "false" if key in (2, 20) else "")
                for key in (0, 1, 2, 3, 20)
            ],
        ),
        job_of(1, "delsert", [(key % 7, "Eve", "M", "", "Japan", "", "") for key in range(9)]),
        job_of(2, "upsert", [(key, "Eve", "N", "", "", "", "") for key in (3, 4, 3, 99)]),
    ]
    previous = 0
    for job in jobs:
        for partition, records in enumerate(make_pass(job, previous, PARTITIONS)):
            made.log.append(partition, records)
        previous = job.job_id
    event = UserRow(
        event_id="e1", mode="upsert", key=_KEY, state="Texas", attributes={}, present=32,
        occurred_at=START,
    )  # fmt: skip
    made.log.append(_PARTITION, [MemoryRecord(_KEY.encode(), codec.encode(event))])
    made.worker().project(made.log, [1000] * PARTITIONS)
    assert findings_of(made) == []
    yield made
    made.close()


def _plant(scene: Scene, statement: LiteralString) -> None:
    with psycopg.connect(scene.env.conninfo, autocommit=True) as connection:
        text = sql.SQL(statement).format(schema=sql.Identifier(scene.schema))
        assert connection.execute(text).rowcount > 0, "the fault is there"


@pytest.mark.parametrize(
    ("column", "value", "shown"),
    [
        ("key", "'elsewhere@example.com'", "expected user3@example.com, found elsewhere@"),
        ("first_name", "'Adam'", "expected Eve, found Adam"),
        ("last_name", "NULL", "expected N, found null"),
        ("email", "''", "expected user3@example.com, found "),
        ("mobile_number", "'+4930'", "expected null, found +4930"),
        ("country", "'France'", "expected Japan, found France"),
        ("state", "NULL", "expected Texas, found null"),
        ("last_active_date", "last_active_date + 1", "expected 2026-"),
        ("last_active_date", "'infinity'", "found a date of no year from 1 to 9999"),
        ("last_active_date", "'0044-03-15 BC'", "found a date of no year from 1 to 9999"),
        ("sms_subscription", "false", "expected True, found False"),
        ("email_subscription", "false", "expected True, found False"),
        ("voice_subscription", "false", "expected True, found False"),
        ("attributes", """'{{"tier": "gold"}}'""", 'expected {}, found {"tier": "gold"}'),
        ("created_at", "created_at + interval '1 microsecond'", "expected 2026-03-02"),
        ("created_at", "'-infinity'", "found a date of no year from 1 to 9999"),
        ("modified_at", "modified_at - interval '1 day'", "expected 2026-03-01"),
        ("job_id", "1", "expected null, found 1"),
        ("record_number", "77", "expected null, found 77"),
        ("event_id", "'e1'", "expected null, found e1"),
        ("modified_position", "NULL", "found null"),
        ("id", "id + 1000000", "found "),
    ],
)
def test_a_changed_value_is_found(projected: Scene, column: str, value: str, shown: str) -> None:
    """By the user's key and the column, with both values."""
    _plant(
        projected, f"UPDATE {{schema}}.user_row SET {column} = {value} "  # pyright: ignore[reportArgumentType]
        f"WHERE {_ONE} AND generation = 2",
    )  # fmt: skip
    (found,) = findings_of(projected)
    key = "elsewhere@example.com" if column == "key" else _KEY
    assert found.startswith(f"users.{column}, key {key}: ")
    assert shown in found


@pytest.mark.parametrize(
    ("fault", "named"),
    [
        (
            f"DELETE FROM {{schema}}.user_row WHERE {_ONE} AND generation = 2",
            f"users, key {_KEY}: expected the user ",
        ),
        (
            ("INSERT INTO {schema}.user_row SELECT (jsonb_populate_record(r, "
            """'{{"id": 5, "key": "nobody@example.com"}}')).* FROM {schema}.user_row AS r """
            f"WHERE {_ONE} AND generation = 2"),
            "users, key nobody@example.com: expected no user, found one with id 5",
        ),
        (
            "UPDATE {schema}.user_count SET users = users + 1 WHERE partition = 1",
            "user_count.users, generation 2, partition 1: expected ",
        ),
        (
            ("UPDATE {schema}.job_partition SET updated = updated + 1 "
            "WHERE job_id = 1004 AND partition = 0"),
            "job_partition.updated, job 1004, partition 0: expected ",
        ),
        (
            ("UPDATE {schema}.job_partition SET deleted = deleted + 1 "
            "WHERE job_id = 1004 AND partition = 0"),
            "job_partition.deleted, job 1004, partition 0: expected ",
        ),
        (
            ("UPDATE {schema}.job_partition SET notes = notes + 1 "
            "WHERE job_id = 1004 AND partition = 0"),
            "job_partition.notes, job 1004, partition 0: expected 0, found 1",
        ),
        ("DELETE FROM {schema}.note", "note.count, job 1002: expected 1, found 0"),
        (
            "UPDATE {schema}.note SET line = line + 1",
            "note.hash of record numbers, lines and codes, job 1002: ",
        ),
        (
            "UPDATE {schema}.note SET value = 'x'",
            "note.hash of record numbers, lines and codes, job 1002: ",
        ),
        ("DELETE FROM {schema}.opt_out", "opt_out.keys, sms_subscription, partition "),
        (
            "UPDATE {schema}.opt_out SET flags = 512",
            "opt_out.keys, voice_subscription, partition ",
        ),
        (
            "UPDATE {schema}.projection_offset SET has_opt_outs = NOT has_opt_outs",
            "projection_offset.has_opt_outs, partition 0: ",
        ),
        (
            "UPDATE {schema}.projection_offset SET keeps_opt_outs = true",
            "projection_offset.keeps_opt_outs, partition 0: expected False, found True",
        ),
        (
            "UPDATE {schema}.projection_offset SET requires_digests = true",
            "projection_offset.requires_digests, partition 0: expected False, found True",
        ),
        (
            "UPDATE {schema}.job SET lines = lines + 1 WHERE job_id = 1004",
            "job.lines, job 1004: expected 4, found 5",
        ),
        ("DELETE FROM {schema}.rejection WHERE job_id = 1002", "rejection.count, job 1002: "),
        (
            "UPDATE {schema}.rejection SET code = 'X' WHERE job_id = 1002",
            "rejection.hash of record numbers, lines and codes, job 1002: ",
        ),
        (
            "UPDATE {schema}.rejection SET further_faults = '[]' WHERE job_id = 1002",
            "rejection.hash of record numbers, lines and codes, job 1002: ",
        ),
        (
            "UPDATE {schema}.job SET state = 'COMPLETED' WHERE job_id = 1004",
            "job.state, job 1004: expected COMPLETED_WITH_ERRORS, found COMPLETED",
        ),
        (
            ("UPDATE {schema}.line_outcome SET outcomes = translate(outcomes, 'nu', 'un') "
            "WHERE job_id = 1004"),
            "line_outcome.digest, job 1004, partition ",
        ),
        (
            "UPDATE {schema}.line_outcome SET rows = rows + 1, outcomes = 'i' WHERE job_id = 1000",
            "line_outcome.digest, job 1000, partition ",
        ),
        ("DELETE FROM {schema}.line_outcome WHERE job_id = 1004", "line_outcome.digest, job 1004"),
        (
            ("UPDATE {schema}.projection_offset SET next_offset = next_offset + 1 "
            "WHERE partition = 1"),
            "projection_offset.next_offset, partition 1: expected at most ",
        ),
        (
            "UPDATE {schema}.projection_offset SET next_offset = next_offset - 3",
            "projection_offset.next_offset, partition 1: expected ",
        ),
        (
            ("UPDATE {schema}.projection_offset SET next_offset = next_offset - 1 "
            f"WHERE partition = {_PARTITION}"),
            f"projection_offset.next_offset, partition {_PARTITION}: expected more than ",
        ),
        (
            "UPDATE {schema}.projection_offset SET digest = digest + 1 WHERE partition = 0",
            "projection_offset.digest, partition 0: expected ",
        ),
        (
            "UPDATE {schema}.projection SET active_generation = NULL",
            "",
        ),
        (
            ("INSERT INTO {schema}.job SELECT 7, mode, lines, file_name, sha256, accepted_at, "
            "accepted_by, started_at FROM {schema}.job WHERE job_id = 1004"),
            "job, job 7: expected no row, found one",
        ),
    ],
)  # fmt: skip
def test_a_fault_is_named(projected: Scene, fault: LiteralString, named: str) -> None:
    """By its table, its row and its column."""
    _plant(projected, fault)
    if not named:
        with pytest.raises(VerificationError, match="active"):
            findings_of(projected)
        return
    assert any(line.startswith(named) for line in findings_of(projected))


def test_of_many_differences_the_first_are_shown(env: Ground) -> None:
    """And all are counted."""
    scene = Scene(env)
    lines = [(key, "Ada", "L", "", "France", "", "") for key in range(100)]
    for partition, records in enumerate(make_pass(job_of(0, "insert", lines), 0, PARTITIONS)):
        scene.log.append(partition, records)
    try:
        scene.worker().project(scene.log, [1000] * PARTITIONS)
        _plant(scene, "UPDATE {schema}.user_row SET country = 'Peru'")
        assert len(findings_of(scene)) == MOST_OF_A_KIND
    finally:
        scene.close()


def test_a_schema_without_tables_is_refused(env: Ground) -> None:
    """Its name is said."""
    with (
        pytest.raises(VerificationError, match="projection_77"),
        snapshot(env.settings, "projection_77"),
    ):
        pass
