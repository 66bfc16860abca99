"""The copy of a log from which a person is erased, on a real broker: repeats, holes, digests."""

from __future__ import annotations

import random
import zlib
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from confluent_kafka import Producer

from deploy.log_migration import MoveRefusedError
from deploy.log_migration.erase.copy import ErasingCopy
from deploy.log_migration.erase.data_subject import DataSubject
from deploy.log_migration.erase.outcomes import SCHEMA, Outcomes
from deploy.log_migration.log_copy import CountedPartition, LogCopy
from deploy.log_migration.records import read_records
from deploy.log_migration.topic_admin import TopicAdmin
from ingest_api.kafka.log_setup import ensure_log
from ingest_api.kafka.topic_setup import ensure_topics
from schemas.codec import codec, framing
from schemas.events import JobSealed, RowErased, UserRow
from schemas.log.digests import digest_headers
from schemas.log.topics import partition_of
from tests.integration.log.test_signed_log import with_keys
from tests.support.data.files import tidy_csv
from tests.support.data.log_reading import read_topic
from tests.support.data.passes import MemoryRecord, make_pass
from tests.support.models.model import Job
from tests.support.servers.surroundings import PARTITIONS

if TYPE_CHECKING:
    from confluent_kafka import Message

    from deploy.log_migration.records import CopiedRecord
    from schemas.config.settings import Settings
    from tests.support.data.passes import Pass
    from tests.support.servers.surroundings import Ground

KEY = "user7@example.com"
HOME = partition_of(KEY.encode(), PARTITIONS)
_TIMESTAMP_MS = 1_700_000_000_000
_NOW = datetime(2026, 7, 1, tzinfo=UTC)


def a_pass(number: int, mode: str, keys: range) -> Pass:
    """The pass of a job; the one before it has the number before."""
    job = Job(
        job_id=number,
        mode="upsert" if mode == "upsert" else "delsert" if mode == "delsert" else "insert",
        content=tidy_csv(keys, word=mode),
        accepted_at=_NOW,
    )
    return make_pass(job, number - 1, PARTITIONS)


def append(settings: Settings, partition: int, records: list[MemoryRecord], **config: str) -> None:
    """Append them to user-events; acknowledged, or aborted with their transaction, on return."""
    producer = Producer({**settings.kafka, **config})
    if config:
        producer.init_transactions(30)
        producer.begin_transaction()
    for record in records:
        topic, key, value = settings.topics.user_events.name, record.key(), record.value()
        headers: Any = digest_headers(settings.keyring, topic, key, value)
        producer.produce(topic, value, key, partition, timestamp=1_700_000_000_000, headers=headers)
    producer.flush(60)
    if config:
        producer.abort_transaction(30)


def copied(settings: Settings) -> tuple[Settings, ErasingCopy, list[list[Message]]]:
    """The log copied in two steps, and what the copy holds."""
    old = settings.with_partitions(PARTITIONS)
    new = old.at_version(2)
    admin = TopicAdmin(old)
    admin.make(old, new)
    ends = admin.ends(old.topics.user_events)
    with Outcomes(new, KEY, frozenset()) as outcomes:
        copy = ErasingCopy(
            old,
            subject=DataSubject(KEY, "email", {}),
            outcomes=outcomes,
            copy=LogCopy(new),
        )
        copy.copy_up_to([end // 2 for end in ends])
        copy.copy_up_to(ends)
    return new, copy, read_topic(new, new.topics.user_events)


def test_broken_passes_and_holes_keep_their_places(env: Ground) -> None:
    """Offsets and times stay; a line counts once, by the pass that brought it, and is sealed."""
    settings = env.settings
    ensure_topics(settings)
    for partition in range(PARTITIONS):
        append_history(settings, partition)
    ends = TopicAdmin(settings).ends(settings.topics.user_events)
    _, copy, records = copied(settings)
    assert [row.outcome for row in copy.erasure.lines] == ["inserted", "updated", "inserted"]
    assert copy.erasure.mentions == []
    assert [len(copied_to) for copied_to in records] == ends
    for partition, end in enumerate(ends):
        topic = settings.topics.user_events.name
        for batch in read_records(settings, topic, partition, 0, end):
            for record in batch:
                assert_kept(record, records[partition][record.offset()])
    assert digests_agree(records[HOME])
    with psycopg.connect(env.conninfo) as connection:
        row = connection.execute("SELECT to_regnamespace(%s) IS NULL", (SCHEMA,)).fetchone()
    assert row == (True,)


def test_a_signed_copy_has_no_record_that_does_not_count(env: Ground) -> None:
    """Neither where the log had a hole, nor where the data subject's records were."""
    settings = with_keys(env.settings)
    ensure_log(settings)
    whole = a_pass(1, "insert", range(9))[HOME]
    append(settings, HOME, whole, **{"transactional.id": "signed"})
    append(settings, HOME, whole)
    new, copy, records = copied(settings)
    assert copy.erasure.lines
    for number, messages in enumerate(records):
        partition = CountedPartition(new, number)
        for batch in partition.batches(len(messages)):
            assert partition.take(batch)[0].dead_letters == []
        assert partition.state.requires_digests


def append_history(settings: Settings, partition: int) -> None:
    """A pass that broke off, an aborted transaction, passes that come again, a delsert."""
    first = a_pass(1, "insert", range(40))[partition]
    second = a_pass(2, "upsert", range(5, 30))[partition]
    cut = random.Random(partition).randrange(2, len(first))
    append(settings, partition, first[:cut])
    append(settings, partition, first[:3], **{"transactional.id": f"t-{partition}"})
    # It names the job and the place of its first line here, and is nobody's line.
    forged = UserRow(
        job_id=2, sequence=0, record_number=1, line=2, mode="upsert", key=KEY, present=0,
        occurred_at=_NOW, source="crm",
    )  # fmt: skip
    strange = MemoryRecord(KEY.encode(), codec.encode(forged))
    append(settings, partition, [*first, *first, second[0], strange, *second[1:-1], *second])
    append(settings, partition, a_pass(3, "delsert", range(3, 9))[partition])


def assert_kept(record: CopiedRecord, copied_to: Message) -> None:
    """Fail unless it stands in its place in the copy, as it was or as a placeholder."""
    assert copied_to.offset() == record.offset()
    assert copied_to.timestamp()[1] == record.timestamp_ms
    value = record.value() or b""
    if KEY.encode() in value:
        assert isinstance(codec.decode(copied_to.value()), RowErased)
    elif not value.startswith(framing.frame_of(JobSealed)):
        assert (copied_to.key(), copied_to.value()) == (record.key(), value)


def digests_agree(records: list[Message]) -> bool:
    """Whether the first seal of each job says what its first whole pass holds."""
    values: dict[int, dict[int, bytes]] = {}
    sealed: set[int] = set()
    for record in records:
        event = codec.decode(record.value())
        if isinstance(event, UserRow | RowErased) and event.job_id is not None:
            values.setdefault(event.job_id, {}).setdefault(
                event.sequence or 0, record.value() or b""
            )
        if isinstance(event, JobSealed) and event.job_id not in sealed:
            sealed.add(event.job_id)
            rows = values.get(event.job_id, {})
            whole = b"".join(rows[at] for at in sorted(rows))
            assert (event.rows, event.digest) == (len(rows), zlib.crc32(whole))
    return sealed == {1, 2, 3}


def test_a_log_that_is_damaged_itself_is_refused(env: Ground) -> None:
    """A seal that does not fit its rows is never made to fit."""
    ensure_topics(env.settings)
    elsewhere = (HOME + 1) % PARTITIONS
    *rows, seal = a_pass(1, "insert", range(40))[elsewhere]
    event = codec.decode(seal.value())
    assert isinstance(event, JobSealed)
    wrong = codec.encode(replace(event, digest=event.digest ^ 1))
    append(env.settings, elsewhere, [*rows, replace(seal, record_value=wrong)])
    with pytest.raises(MoveRefusedError, match="damaged"):
        copied(env.settings)
