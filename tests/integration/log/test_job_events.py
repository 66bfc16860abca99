"""The log decides which attempt counts, and everyone who reads it knows the same."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from ingest_api.event_log import job_events
from ingest_api.event_log.job_events import JobLog
from ingest_api.kafka.topic_setup import ensure_topics
from processor.builder.reverts_follower import RevertsFollower
from schemas.clients.kafka import make_producer
from schemas.codec.codec import encode
from schemas.events import ChunkRange, JobAccepted, JobRestored, JobReverted, JobVoided

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterator

    from deploy.local_stack.stack import LocalStack
    from schemas.config.settings import Settings
    from tests.support.servers.surroundings import Ground

FIRST = JobAccepted(
    job_id=41,
    attempt="first",
    mode="insert",
    delimiter=",",
    charset="utf-8",
    compression="none",
    blank_cells="keep",
    reconciliation_key="email",
    rules_version=1,
    accepted_at=datetime(2026, 1, 1, tzinfo=UTC),
    accepted_by="admin",
    file_name="users.csv",
    size_bytes=1,
    sha256="aa",
    lines=1,
    rejected_lines=0,
    chunks=ChunkRange(partition=0, first_offset=0, last_offset=0, count=1),
)
_PATIENCE_S = 60.0
SAME = replace(FIRST, attempt="same")
OTHER = replace(FIRST, attempt="other", sha256="bb")
REVERTED = JobReverted(
    job_id=41,
    attempt="undo",
    requested_at=datetime(2026, 1, 2, tzinfo=UTC),
    requested_by="admin",
    inserted=1,
    updated=0,
    unchanged=0,
    rejected=0,
)
RESTORED = JobRestored(
    job_id=41, attempt="redo", requested_at=datetime(2026, 1, 3, tzinfo=UTC), requested_by="admin"
)


@pytest.fixture
def settings(
    env: Ground, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Settings:
    """The test's own topics, made; what Kafka decides is waited for, unless the test breaks it."""
    if "broker_pid" not in request.fixturenames:
        monkeypatch.setattr(job_events, "_APPEND_TIMEOUT_S", _PATIENCE_S)
        monkeypatch.setattr(job_events, "_READ_TIMEOUT_S", _PATIENCE_S)
    ensure_topics(env.settings)
    return env.settings


@contextlib.asynccontextmanager
async def following(settings: Settings) -> AsyncGenerator[JobLog]:
    """An instance's view of the log."""
    log = JobLog(settings.kafka, settings.topics.job_events)
    log.start()
    try:
        yield log
    finally:
        await log.stop()


def append(settings: Settings, value: bytes) -> None:
    """Append as another process would."""
    producer = make_producer(settings.kafka)
    producer.produce(settings.topics.job_events.name, value, b"41", 0)
    assert producer.flush(60) == 0


def test_the_first_attempt_counts_on_every_instance(settings: Settings) -> None:
    """A retry elsewhere with the same content is the same job; with other content it isn't."""

    async def run() -> None:
        async with following(settings) as one, following(settings) as two:
            assert await one.accept(FIRST) == "accepted"
            assert await two.accept(SAME) == "same"
            assert await one.accept(OTHER) == "conflict"
            await two.catch_up()
            assert [job.accepted for job in two.ledger.jobs] == [FIRST]

    asyncio.run(run())


def test_attempts_at_one_instant_end_in_one_job(settings: Settings) -> None:
    """Fifty retries over two instances: one counts, the others are told that it does."""

    async def run() -> None:
        async with following(settings) as one, following(settings) as two:
            attempts = [replace(FIRST, attempt=f"attempt {number}") for number in range(50)]
            found = await asyncio.gather(
                *(log.accept(event) for event, log in zip(attempts, [one, two] * 25, strict=True))
            )
            assert sorted(found) == ["accepted"] + ["same"] * 49
            assert len(one.ledger.jobs) == 1

    asyncio.run(run())


def test_an_attempt_that_was_voided_first_never_counts(settings: Settings) -> None:
    """So a record that arrives late cannot turn a 503 into a job."""
    append(settings, encode(JobVoided(job_id=41, attempt="first")))

    async def run() -> None:
        async with following(settings) as log:
            assert await log.accept(FIRST) == "voided"
            assert await log.accept(SAME) == "accepted"

    asyncio.run(run())


def test_what_is_no_event_decides_nothing(settings: Settings) -> None:
    """Neither does it stop whoever reads on."""
    append(settings, b"garbage")

    async def run() -> None:
        async with following(settings) as log:
            assert await log.accept(FIRST) == "accepted"

    asyncio.run(run())


def test_an_instance_that_has_caught_up_knows_what_was_accepted_before(settings: Settings) -> None:
    """Even if it has just been started."""
    append(settings, encode(FIRST))

    async def run() -> None:
        async with following(settings) as log:
            await log.catch_up()
            assert log.ledger.job(41) is not None

    asyncio.run(run())


def test_of_undos_at_one_instant_one_counts(settings: Settings) -> None:
    """On every instance; and what it did can be taken back once."""

    async def run() -> None:
        async with following(settings) as one, following(settings) as two:
            await one.accept(FIRST)
            undos = [replace(REVERTED, attempt=f"undo {number}") for number in range(20)]
            found = await asyncio.gather(
                *(log.change(event) for event, log in zip(undos, [one, two] * 10, strict=True))
            )
            assert sorted(found) == ["changes nothing"] * 19 + ["counts"]
            await one.catch_up()
            await two.catch_up()
            assert one.ledger.reverts.now() == two.ledger.reverts.now() == {41}
            assert await two.change(RESTORED) == "counts"
            assert await two.change(replace(RESTORED, attempt="late")) == "changes nothing"

    asyncio.run(run())


def test_what_all_of_the_log_says_of_reverts_is_known_to_both_sides(settings: Settings) -> None:
    """The processor's side reads it to its end, with the times of its records."""

    async def run() -> None:
        async with following(settings) as log:
            await log.accept(FIRST)
            await log.change(REVERTED)

    append(settings, b"garbage")
    asyncio.run(run())
    with contextlib.closing(RevertsFollower(settings)) as follower:
        reverts = follower.read()
    assert reverts.now() == {41}
    assert reverts.reverted(41) == REVERTED
    assert reverts.before_job(41) == frozenset()
    assert reverts.at_time(datetime.now(UTC) + timedelta(days=1)) == {41}
    assert reverts.at_time(datetime.now(UTC) - timedelta(days=1)) == frozenset()
    assert (reverts.is_known(41), reverts.is_known(42)) == (True, False)


@pytest.fixture
def broker_pid(stack: LocalStack) -> Iterator[int]:
    """The broker's process; it runs again afterwards."""
    yield stack.kafka.child.pid
    os.kill(stack.kafka.child.pid, signal.SIGCONT)


async def freeze(broker_pid: int, seconds: float) -> None:
    """Stop the broker for so long."""
    os.kill(broker_pid, signal.SIGSTOP)
    await asyncio.sleep(seconds)
    os.kill(broker_pid, signal.SIGCONT)


_TRIES = 5
"""A machine that is busy may take longer than is waited for, so one answer may be "unknown"."""


@pytest.mark.parametrize("frozen_s", [6.0, 15.0])
def test_an_acknowledgement_that_does_not_come_leaves_nothing_open(
    settings: Settings, broker_pid: int, frozen_s: float
) -> None:
    """Whatever is answered meanwhile, the log agrees with it, and a retry ends in one job."""

    async def answer_to(log: JobLog, first: JobAccepted) -> str:
        frozen = asyncio.create_task(freeze(broker_pid, frozen_s))
        answered = await log.accept(first)
        await frozen
        retried = await log.accept(replace(first, attempt="same"))
        assert retried in {"accepted", "same"}
        async with following(settings) as other:
            await other.catch_up()
            jobs = [job.accepted for job in other.ledger.jobs]
            counting = [job.attempt for job in jobs if job.job_id == first.job_id]
            assert len(counting) == 1
            if answered in {"accepted", "voided"}:
                assert (counting == ["first"]) == (answered == "accepted")
        return answered

    async def run() -> None:
        async with following(settings) as log:
            await log.catch_up()
            for number in range(_TRIES):
                answered = await answer_to(log, replace(FIRST, job_id=41 + number))
                if answered != "unknown" or frozen_s > 9:
                    return
        pytest.fail("nothing was known after several uploads")

    asyncio.run(run())


def test_an_undo_that_is_not_acknowledged_leaves_nothing_open(
    settings: Settings, broker_pid: int
) -> None:
    """Whatever is answered meanwhile, the log agrees with it."""

    async def run() -> None:
        async with following(settings) as log:
            await log.accept(FIRST)
            for number in range(_TRIES):
                frozen = asyncio.create_task(freeze(broker_pid, 6.0))
                answered = await log.change(replace(REVERTED, attempt=f"undo {number}"))
                await frozen
                if answered != "unknown":
                    break
            else:
                pytest.fail("nothing was known after several undos")
            async with following(settings) as other:
                await other.catch_up()
                assert (other.ledger.reverts.now() == {41}) == (answered != "voided")

    asyncio.run(run())
