"""What leaves for Kafka, in order, and what is too large to leave as it is."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, cast

import psycopg
import pytest
from prometheus_client import REGISTRY
from psycopg.types.json import Jsonb

from ingest_api.kafka.topic_setup import ensure_topics
from processor.kafka.log_description import describe_log
from processor.projection.session import connect
from processor.tables.generations import Generations
from processor.tables.setup import ensure_active
from processor.worker import outbox as outbox_module
from processor.worker.outbox import Outbox
from schemas.codec.codec import decode, encode
from schemas.events import JobStatus
from schemas.log.topics import MAX_DEAD_LETTER_BYTES
from tests.support.data.log_reading import read_topic
from tests.support.models.verdict import select
from tests.support.servers.surroundings import PARTITIONS
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from confluent_kafka import Message

    from schemas.log.topics import Topic
    from tests.support.servers.surroundings import Ground

_Row = tuple[str, bytes | None, bytes | None, dict[str, str]]
_AT = datetime(2026, 3, 1, tzinfo=UTC)
_STATUS = JobStatus(
    job_id=7, version=1, state="PROCESSING", mode="insert", lines=1, inserted=0, updated=0,
    unchanged=0, rejected=0, file_name="users.csv", sha256="0" * 64, accepted_at=_AT,
    accepted_by="admin", started_at=_AT, finished_at=None,
)  # fmt: skip


def test_a_status_too_large_for_its_topic_is_sent_with_shorter_texts(env: Ground) -> None:
    """In its place in the order, and those behind it after it."""
    topic = env.settings.topics.job_status
    named = replace(_STATUS, version=2, file_name="x" * (2 << 20))
    statuses = [_STATUS, named, replace(_STATUS, version=3)]
    _send(env, [(topic.name, b"7", encode(each), {}) for each in statuses])
    sent = [cast("JobStatus", decode(each.value())) for each in _records(env, topic)]
    assert [each.version for each in sent][-3:] == [1, 2, 3]
    assert sent[-2] == replace(named, file_name="x" * 200 + "…")


def test_a_dead_letter_too_large_for_its_topic_is_sent_without_its_value(env: Ground) -> None:
    """A header says so, and its own say where the whole record stands; nobody waits behind it."""
    topic = env.settings.topics.dead_letters
    large = b"\0" * (MAX_DEAD_LETTER_BYTES + 1)
    letters: list[tuple[bytes, bytes]] = [(b"k", b"a"), (b"k", large), (large, b""), (b"k", b"b")]
    rows = [(topic.name, *each, _headers(offset)) for offset, each in enumerate(letters)]
    _send(env, rows)
    sent = {_header(each, "source-offset"): each for each in _records(env, topic)}
    assert [sent[offset].value() for offset in "03"] == [b"a", b"b"]
    assert _header(sent["0"], "left-out") is None
    assert (sent["1"].key(), sent["1"].value()) == (b"k", None)
    assert _header(sent["1"], "left-out") == f"value of {len(large)} bytes"
    assert (sent["2"].key(), sent["2"].value()) == (None, None)
    assert _header(sent["2"], "left-out") == f"value of 0 bytes, key of {len(large)} bytes"
    assert {name: _header(sent["1"], name) for name in _headers(1)} == _headers(1)


_LOCK = "SELECT pg_advisory_lock(hashtextextended('rollcall-outbox:projection_1', 0))"
_STUCK = "rollcall_outbox_stuck_seconds"


def _idle(holder: psycopg.Connection) -> None:
    """Frozen between two statements."""
    holder.execute("SELECT 1")


def _in_transaction(holder: psycopg.Connection) -> None:
    """Frozen while it drops old generations."""
    holder.execute("BEGIN")


def _answered(holder: psycopg.Connection) -> None:
    """Frozen while Postgres sends it what is in the outbox."""
    holder.pgconn.send_query(b"SELECT repeat('x', 1 << 20) FROM generate_series(1, 64)")


@pytest.mark.parametrize("freeze", [_idle, _in_transaction, _answered])
def test_a_sender_that_is_frozen_is_ended_and_another_one_sends(
    env: Ground, freeze: Callable[[psycopg.Connection], None]
) -> None:
    """Its lock would else be kept as long as its process is frozen."""
    status: _Row = (env.settings.topics.job_status.name, b"7", encode(_STATUS), {})
    with contextlib.closing(connect(env.settings, "rollcall-outbox")) as holder:
        holder.execute(_LOCK)
        freeze(holder)
        _send(env, [status], patience_s=0.5)
        pid = holder.info.backend_pid
        assert select(env, f"SELECT FROM pg_stat_activity WHERE pid = {pid}") == []


def test_a_sender_that_is_at_work_is_waited_for(
    env: Ground, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However long it takes; whoever waits tells meanwhile for how long nothing was sent."""
    monkeypatch.setattr(outbox_module, "_RETRY_S", 0.1)
    outbox = _outbox(env, [(env.settings.topics.job_status.name, b"7", b"", {})], patience_s=3)
    with connect(env.settings, "rollcall-outbox") as holder:
        holder.execute(_LOCK)
        outbox.start()

        def is_stuck() -> bool:
            holder.execute("SELECT 1")
            return (REGISTRY.get_sample_value(_STUCK) or 0) > 4

        try:
            wait_until(is_stuck, 60, saying="more than the patience has passed")
            holder.execute("SELECT 1")
        finally:
            outbox.stop(30)
    assert select(env, "SELECT count(*) FROM projection_1.outbox") == [{"count": 1}]


def _headers(offset: int) -> dict[str, str]:
    place = {"source-topic": "user-events", "source-partition": "2", "source-offset": str(offset)}
    return {"reason": "NOT_FRAMED", "detail": "no frame", **place}


def _header(message: Message, name: str) -> str | None:
    value = dict(message.headers() or []).get(name)
    return None if value is None else cast("bytes", value).decode()


def _send(env: Ground, rows: Iterable[_Row], **options: float) -> None:
    """Put the rows into an outbox; all have left on return."""
    outbox = _outbox(env, rows, **options)
    outbox.start()
    try:
        count = "SELECT count(*) FROM projection_1.outbox"
        wait_until(lambda: select(env, count)[0]["count"] == 0, 60, saying="the outbox is empty")
    finally:
        outbox.stop(30)


def _outbox(env: Ground, rows: Iterable[_Row], **options: float) -> Outbox:
    """The outbox with these rows in it, which nobody sends yet."""
    ensure_topics(env.settings)
    with psycopg.connect(env.conninfo, autocommit=True) as connection:
        active = ensure_active(connection, env.settings, describe_log(env.settings))
        assert active is not None
        for *record, headers in rows:
            parameters: list[Any] = [*record, Jsonb(headers)]
            connection.execute(
                f"INSERT INTO {active.schema}.outbox (topic, key, value, headers)"
                " VALUES (%s, %s, %s, %s)".encode(),
                parameters,
            )
    generations = Generations(active.schema, PARTITIONS)
    return Outbox(env.settings, active.schema, generations, **options)


def _records(env: Ground, topic: Topic) -> list[Message]:
    return [each for partition in read_topic(env.settings, topic) for each in partition]
