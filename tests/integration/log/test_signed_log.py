"""In a signed log nobody without a key can accept a job, move the log, or hold anybody up."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from deploy.doctor.kafka import kafka_findings
from deploy.log_migration.log_state import append_stage, read_ledger
from deploy.log_migration.records import read_records
from deploy.log_migration.side_topics import JobEventsCopy
from ingest_api.errors import LogMismatchError
from ingest_api.event_log.job_events import JobLog
from ingest_api.event_log.ledger import JobLedger
from ingest_api.kafka.log_setup import ensure_log
from ingest_api.kafka.single_append import append_job_event
from ingest_api.kafka.topic_setup import ensure_topics
from ingest_api.publisher.failing_jobs import append_failure, failure_of
from processor.errors import RefusedToStartError
from processor.kafka.reconciliation_key import check_key
from schemas.clients.job_events import absent_keys, at_current_version, read_job_events
from schemas.clients.kafka import make_producer
from schemas.codec import framing
from schemas.codec.codec import decode, encode
from schemas.events import JobCancelled, JobFailed, LogConfigured, LogMove
from schemas.log.digests import SignedRecords, digest_headers
from tests.support.data.log_reading import read_topic
from tests.support.models.file_oracle import accepted_job
from tests.support.servers.services import Services
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from pathlib import Path

    from schemas.config.settings import Settings
    from schemas.events import Event
    from tests.support.servers.surroundings import Ground

KEYS = "one:" + "1" * 32
NOW = datetime(2026, 1, 1, tzinfo=UTC)
MOVED = LogMove(stage="MOVED", version=2, partitions=3, command="forged", recorded_at=NOW)
CANCELLED = JobCancelled(job_id=1, attempt="forged", requested_at=NOW, requested_by="nobody")
FAILED = JobFailed(job_id=1, attempt="forged", failed_at=NOW, code="FORGED", reason="forged")


def with_keys(settings: Settings, keys: str = KEYS) -> Settings:
    """The settings with these keys."""
    return msgspec.structs.replace(settings, log_keys=keys)


def append(settings: Settings, *values: bytes, headers: Any = ()) -> None:
    """What somebody appends who has no key."""
    producer = make_producer(settings.kafka)
    for value in values:
        topic = settings.topics.job_events.name
        producer.produce(topic, value, b"1", 0, headers=list(headers))
    assert producer.flush(60) == 0


def accept(settings: Settings, job_id: int) -> str:
    """What an API that has these settings says of an upload."""

    async def accepted() -> str:
        log = JobLog(settings.kafka, settings.topics.job_events, keyring=settings.keyring)
        log.start()
        try:
            return await log.accept(accepted_job(job_id=job_id, attempt=f"a{job_id}"))
        finally:
            await log.stop()

    return asyncio.run(accepted())


def events_of(settings: Settings) -> list[Event]:
    """What counts, to whom has these settings."""
    with read_job_events(settings) as events:
        return [logged.event for logged in events]


def marked_partitions(settings: Settings) -> int:
    """How many partitions of `user-events` say that digests are required, and nothing else."""
    topic, keyring, count = settings.topics.user_events, settings.keyring, 0
    for (mark,) in read_topic(settings, topic):
        headers: Any = mark.headers()
        assert keyring is not None
        count += keyring.is_right(topic.name, mark.key(), mark.value(), headers)
    return count


@pytest.mark.parametrize("forged", [
    pytest.param(encode(accepted_job(job_id=9, attempt="forged", lines=10**6)), id="JobAccepted"),
    pytest.param(encode(MOVED), id="MOVED"),
    pytest.param(encode(replace(MOVED, stage="HELD")), id="HELD"),
    pytest.param(encode(CANCELLED), id="JobCancelled"),
    pytest.param(encode(FAILED), id="JobFailed"),
    pytest.param(b"\0\0\0\0\7some event", id="unknown schema"),
    pytest.param(b"garbage", id="garbage"),
])  # fmt: skip
def test_what_has_no_digest_has_no_effect(env: Ground, forged: bytes) -> None:
    """Uploads before and behind it are taken; without keys it counts, or holds them up."""
    settings = with_keys(env.settings)
    ensure_log(settings)
    assert accept(settings, 1) == "accepted"
    append(settings, forged)
    append(settings, forged, headers=[("rollcall-digest", b"one:" + b"0" * 64)])
    assert accept(settings, 2) == "accepted"

    ledger = read_ledger(settings)
    assert [job.accepted.job_id for job in ledger.jobs] == [1, 2]
    assert not (ledger.moves.is_held)
    assert not (ledger.reverts.now())
    assert at_current_version(settings).log_version == 1


def test_a_publisher_waits_for_the_version_that_has_accepted_a_job(
    env: Ground, tmp_path: Path
) -> None:
    """If it skipped the job and published those behind it, nobody could ever publish that one."""
    settings = with_keys(env.settings)
    ensure_log(settings)
    of_later_version = framing.MARKER + b"later..." + encode(CANCELLED)[framing.FRAME_BYTES :]
    topic = settings.topics.job_events.name
    digest = digest_headers(settings.keyring, topic, b"1", of_later_version)
    append(settings, of_later_version, headers=digest)
    assert accept(settings, 2) == "accepted"

    with Services(env.environ, tmp_path) as services:
        publisher = services.publisher(log_keys=KEYS, give_up_s="1")
        said = "is of a later version of Rollcall: finish the upgrade"
        wait_until(lambda: said in publisher.log_text(), 60, saying="it waits")
        assert publisher.terminate() == 0
        assert "cannot be published" not in publisher.log_text()  # the file of the second is lost


def test_a_digest_of_another_record_is_none(env: Ground) -> None:
    """What stands in the log once can't be appended with other contents."""
    settings = with_keys(env.settings)
    ensure_log(settings)
    keyring, topic = settings.keyring, settings.topics.job_events.name
    assert keyring is not None
    append(settings, encode(MOVED), headers=keyring.headers(topic, b"1", encode(FAILED)))
    append(settings, encode(MOVED), headers=keyring.headers(f"{topic}.2", b"1", encode(MOVED)))
    assert not read_ledger(settings).moves.is_held
    append(settings, encode(MOVED), headers=keyring.headers(topic, b"1", encode(MOVED)))
    assert read_ledger(settings).moves.is_held


def test_a_log_that_began_without_keys_requires_them_from_a_point_on(env: Ground) -> None:
    """What came before counts for ever, what comes between counts, what comes after does not."""
    settings = with_keys(env.settings)
    ensure_log(env.settings)
    assert accept(env.settings, 1) == "accepted"
    ensure_log(settings)
    assert [accept(settings, 2), accept(env.settings, 3)] == ["accepted", "accepted"]
    assert not any(read_topic(settings, settings.topics.user_events))
    ensure_log(settings, requires_digests=True)
    assert marked_partitions(settings) == settings.partitions
    append(settings, encode(accepted_job(job_id=4, attempt="forged")))
    assert accept(settings, 5) == "accepted"
    append_failure(settings, failure_of(5, ValueError("it is one")))

    ledger = read_ledger(settings)
    assert [job.accepted.job_id for job in ledger.jobs] == [1, 2, 3, 5]
    assert ledger.reverts.failed().keys() == {5}
    for others in (env.settings, with_keys(settings, "one:" + "2" * 32)):
        with pytest.raises(LogMismatchError, match="ROLLCALL_LOG_KEYS"):
            ensure_log(others)
        with pytest.raises(RefusedToStartError, match="ROLLCALL_LOG_KEYS"):
            check_key(others)
    rotated = with_keys(settings, f"two:{'2' * 32},{KEYS}")
    ensure_log(rotated)
    check_key(rotated)
    assert accept(rotated, 6) == "accepted"


def test_a_key_that_signed_a_mark_can_not_be_left_out(env: Ground) -> None:
    """Else all before the next mark would count unsigned; one that is made up later is none."""
    settings = with_keys(env.settings)
    ensure_log(settings)
    rotated = with_keys(settings, f"two:{'2' * 32},{KEYS}")
    ensure_log(rotated, requires_digests=True)
    mark = encode(LogConfigured(reconciliation_key="email", configured_at=NOW))
    append(settings, mark, headers=[("rollcall-digest", b"made-up:" + b"0" * 64)])
    assert not ensure_log(rotated)  # unsigned records count no more
    without = with_keys(settings, f"two:{'2' * 32}")
    for check, error in ((ensure_log, LogMismatchError), (check_key, RefusedToStartError)):
        with pytest.raises(error, match='ROLLCALL_LOG_KEYS does not have the key "one"'):
            check(without)
    assert absent_keys(rotated) == {"made-up": 1}
    findings = {each.subject: each for each in kafka_findings(rotated)}
    assert "made-up (1)" in findings["digests"].seen
    assert findings["key"].state == "fine"


def test_digests_are_not_required_by_a_key_that_the_services_lack(env: Ground) -> None:
    """Nothing is appended: behind a mark by it they would not start."""
    services = with_keys(env.settings)
    others = with_keys(env.settings, "two:" + "2" * 32)
    ensure_log(env.settings)
    assert accept(services, 1) == "accepted"
    with pytest.raises(LogMismatchError, match="lacks one"):
        ensure_log(others, requires_digests=True)
    ensure_log(services, requires_digests=True)
    check_key(services)
    with pytest.raises(LogMismatchError, match='does not have the key "one"'):
        ensure_log(others, requires_digests=True)
    assert marked_partitions(services) == services.partitions


def test_a_log_signed_before_its_partitions_had_marks_gets_them(env: Ground) -> None:
    """`rollcall setup --require-digests`, run again, appends them to each, whatever was there."""
    settings = with_keys(env.settings)
    ensure_topics(settings)
    append_job_event(settings, LogConfigured(reconciliation_key="email", configured_at=NOW), b"log")
    ensure_log(settings)
    assert not any(read_topic(settings, settings.topics.user_events))
    ensure_log(settings, requires_digests=True)
    assert marked_partitions(settings) == settings.partitions


def test_a_moved_log_is_signed_anew_and_nothing_forged_comes_to_count(env: Ground) -> None:
    """The digest is of the topic, so a record copied by somebody else has none there."""
    old = with_keys(env.settings)
    ensure_log(env.settings)
    assert accept(env.settings, 1) == "accepted"
    ensure_log(old, requires_digests=True)
    append(old, encode(accepted_job(job_id=2, attempt="forged")))
    assert accept(old, 3) == "accepted"
    new = old.at_version(2)
    topic = old.topics.job_events.name
    batches = list(read_records(old, topic, 0, 0, 5))
    signed, ledger = SignedRecords(new.keyring, new.topics.job_events.name), JobLedger()
    for records in JobEventsCopy(old, new).rewritten(0, batches):
        for at, record in enumerate(records):
            event = decode(record.value())
            is_right = signed.is_right(record.key(), record.value(), record.headers())
            assert is_right or not signed.is_required
            signed.note(event, is_right=is_right)
            ledger.apply(at, event)
    assert signed.is_required
    assert [job.accepted.job_id for job in ledger.jobs] == [1, 3]
    append_stage(old, new, "HELD", command="test")
    assert read_ledger(old).moves.is_held
