"""What the API says about jobs, rejections and users, from a read model made by hand."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, LiteralString

import psycopg
import pytest

from ingest_api.job_ledger import JobLedger
from ingest_api.reads import Reads
from ingest_api.store import Store
from schemas import read_model
from schemas.events import ChunkRange, JobAccepted

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from tests.surroundings import Ground

ACCEPTED = JobAccepted(
    job_id=2**62,
    attempt="first",
    mode="insert",
    delimiter=",",
    charset="utf-8",
    compression="none",
    blank_cells="keep",
    reconciliation_key="email",
    rules_version=1,
    accepted_at=datetime(2016, 6, 28, 17, 49, 23, tzinfo=UTC),
    accepted_by="admin",
    file_name="users.csv",
    size_bytes=1,
    sha256="aa",
    lines=10_020,
    rejected_lines=0,
    chunks=ChunkRange(partition=0, first_offset=0, last_offset=0, count=1),
)
GENERATION = """
INSERT INTO model.generation (job_id) VALUES (NULL);
CREATE TABLE model.leaf PARTITION OF model.user_row FOR VALUES IN (1);
INSERT INTO model.projection (version, topic, topic_id, partitions, reconciliation_key,
                              active_generation)
VALUES (1, 'user-events', 'id', 1, 'email', 1);
"""
JOB = """
INSERT INTO model.job (job_id, mode, lines, file_name, sha256, accepted_at, accepted_by,
                       started_at, finished_at, state)
VALUES (%(job_id)s, 'insert', 10020, 'users.csv', 'aa', '2016-06-28 17:49:23Z', 'admin',
        '2016-06-28 17:49:24Z', %(finished_at)s, %(state)s)
"""
COUNTS = """
INSERT INTO model.job_partition (job_id, partition, inserted, updated, unchanged, rejected)
VALUES (%s, 0, 5000, 10, 0, 0), (%s, 1, 5000, 5, 4, 1)
"""
REJECTIONS = """
INSERT INTO model.rejection (job_id, record_number, line, "column", code, reason, value, raw)
SELECT %s, n, n + 1, 'Email', 'KEY_EXISTS',
       'Email is being used for one of the audience members.', 'a@b.co', 'A,B,a@b.co'
FROM generate_series(1, 30) AS n
"""
USERS = """
INSERT INTO model.user_row (generation, partition, id, key, first_name, last_name, email, country,
                            last_active_date, sms_subscription, email_subscription,
                            voice_subscription, attributes, created_at, modified_at)
SELECT 1, 0, n * 1000, 'u' || n, 'Zoë', NULL, 'u' || n, 'India', '2017-08-28', true, false, true,
       '{"tier": "gold"}', '2017-08-28 12:23:28Z', '2017-08-28 00:23:28Z'
FROM generate_series(1, 25) AS n
"""


@pytest.fixture
def database(env: Ground) -> str:
    """A database with an empty read model."""
    ddl = read_model.ddl().format(schema="model")
    with psycopg.connect(env.conninfo, autocommit=True) as connection:
        connection.execute(ddl)
        connection.execute(GENERATION)
    return env.conninfo


def read(conninfo: str, ask: Callable[[Reads, JobLedger], Awaitable[Any]]) -> dict[str, Any]:
    """What the reads answer, with a ledger of two jobs."""

    async def run() -> dict[str, Any]:
        ledger = JobLedger()
        ledger.apply(3, ACCEPTED)
        ledger.apply(5, replace(ACCEPTED, job_id=7, lines=1))
        store = Store(conninfo)
        await store.open()
        try:
            return await ask(Reads(store, ledger), ledger)
        finally:
            await store.close()

    return asyncio.run(run())


def status(conninfo: str) -> dict[str, Any]:
    """Of the first job."""
    return read(conninfo, lambda reads, ledger: reads.status(ledger.jobs[0]))


def execute(conninfo: str, statement: LiteralString, *values: object) -> None:
    """Run one statement as the processor's stand-in."""
    with psycopg.connect(conninfo, autocommit=True) as connection:
        connection.execute(statement, values or None)


def open_job(conninfo: str, state: str, finished_at: str | None) -> None:
    """The job as the processor has it, with its counts in two partitions."""
    with psycopg.connect(conninfo, autocommit=True) as connection:
        values = {"job_id": ACCEPTED.job_id, "finished_at": finished_at, "state": state}
        connection.execute(JOB, values)
        connection.execute(COUNTS, (ACCEPTED.job_id, ACCEPTED.job_id))


@pytest.mark.parametrize(
    ("state", "finished_at", "message"),
    [
        ("PROCESSING", None, "File uploaded successfully, import is in progress."),
        (
            "COMPLETED",
            "2016-06-28 17:49:34Z",
            "Successfully uploaded requests of count :10020",
        ),
        ("COMPLETED_WITH_ERRORS", "2016-06-28 17:49:34Z", "Uploaded file has got errors"),
    ],
)
def test_a_status_says_how_far_the_job_is(
    database: str, state: str, finished_at: str | None, message: str
) -> None:
    """In the contract's words, with its counts added up over the partitions."""
    open_job(database, state, finished_at)
    found = status(database)
    assert (found["state"], found["statusMessage"]) == (state, message)
    assert found["importedDate"] == "06/28/2016 05:49:23 PM GMT"
    assert found["id"] == str(2**62)
    counts = [found[name] for name in ("inserted", "updated", "unchanged", "rejected", "total")]
    assert counts == [10_000, 15, 4, 1, 10_020]
    assert found["startedDate"] == "06/28/2016 05:49:24 PM GMT"
    if finished_at:
        assert found["rowsPerSecond"] == 1002.0
        assert found["finishedDate"] == "06/28/2016 05:49:34 PM GMT"
    assert (found["estimatedFinishDate"] is None) == (finished_at is not None)


def test_a_job_that_no_processor_has_opened_is_accepted(database: str, env: Ground) -> None:
    """Also where there is no read model at all."""
    assert status(database)["state"] == "ACCEPTED"
    with psycopg.connect(env.conninfo, autocommit=True) as connection:
        connection.execute("DROP SCHEMA model CASCADE")
    assert status(database)["state"] == "ACCEPTED"
    page = read(database, lambda reads, _: reads.select_users(after=0, start=0, page_size=5))
    assert page == {"total": 0, "audience": []}


def test_statuses_are_listed_newest_first(database: str) -> None:
    """By their order in the log, whatever their clocks said."""
    page = read(database, lambda reads, _: reads.select_statuses(0, 20))
    assert page["total"] == 2
    assert [job["id"] for job in page["statuses"]] == ["7", str(2**62)]


def test_errors_are_in_the_order_of_the_file(database: str) -> None:
    """Each with an id of its own, its line, and the contract's message."""
    execute(database, REJECTIONS, ACCEPTED.job_id)
    page = read(database, lambda reads, ledger: reads.select_errors(ledger.jobs[0], 9, 5))
    assert page["total"] == 30
    assert [error["line"] for error in page["Errors"]] == [11, 12, 13, 14, 15]
    assert page["Errors"][0] == {
        "id": 3 * 2**31 + 10,
        "errorMessage": ("Line 10,A,B,a@b.co,Email is being used for one of the audience members."),
        "line": 11,
        "column": "Email",
        "code": "KEY_EXISTS",
        "value": "a@b.co",
        "reason": "Email is being used for one of the audience members.",
    }
    other = read(database, lambda reads, ledger: reads.select_errors(ledger.jobs[1], 0, 5))
    assert other == {"total": 0, "Errors": []}


def test_users_are_paged_by_index_or_by_key(database: str) -> None:
    """In one order, with the contract's names and dates."""
    execute(database, USERS)

    def ids(**page: int) -> list[str]:
        found = read(database, lambda reads, _: reads.select_users(**page))
        assert found["total"] == 25
        return [user["id"] for user in found["audience"]]

    assert ids(after=0, start=3, page_size=2) == ["4000", "5000"]
    assert ids(after=23_000, start=0, page_size=20) == ["24000", "25000"]
    assert ids(after=0, start=10**9, page_size=20) == []
    page = read(database, lambda reads, _: reads.select_users(after=0, start=0, page_size=1))
    assert page["audience"] == [
        {
            "id": "1000",
            "firstName": "Zoë",
            "lastName": None,
            "email": "u1",
            "mobileNumber": None,
            "country": "India",
            "state": None,
            "active": True,
            "smsSubscription": True,
            "emailSubscription": False,
            "voiceSubscription": True,
            "lastActiveDateStr": "08/28/2017 12:00:00 AM GMT",
            "createdDateStr": "08/28/2017 12:23:28 PM GMT",
            "lastModifiedDateStr": "08/28/2017 12:23:28 AM GMT",
            "attributes": {"tier": "gold"},
        }
    ]
