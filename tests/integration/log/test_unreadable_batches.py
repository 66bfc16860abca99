"""A batch that nobody can decompress stops no reader: all step over it alike."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from confluent_kafka import KafkaError, Message
from prometheus_client import REGISTRY

from deploy.log_migration.log_state import read_ledger
from ingest_api.kafka.log_setup import ensure_log
from ingest_api.kafka.topic_setup import ensure_topics
from schemas.clients.kafka import make_reader
from schemas.clients.ranges import Range, RangeReader
from schemas.clients.unreadable import UnreadableBatches
from tests.integration.log.test_signed_log import accept, events_of, with_keys
from tests.support.data.raw_batches import append_unreadable, append_with_header
from tests.support.servers.services import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from confluent_kafka import Consumer

    from tests.support.servers.surroundings import Ground


def test_uploads_are_taken_behind_one_in_job_events(env: Ground) -> None:
    """Whoever reads the topic comes to the same, from its beginning, from the batch, behind it."""
    settings = with_keys(env.settings)
    ensure_log(settings)
    topic = settings.topics.job_events.name
    assert accept(settings, 1) == "accepted"
    ensure_log(settings, requires_digests=True)
    for records in (1, 7, 60):
        first = append_unreadable(settings, topic, 0, records=records)
    assert accept(settings, 2) == "accepted"
    before = REGISTRY.get_sample_value("rollcall_forged_records_total", {"topic": topic}) or 0
    assert len(events_of(settings)) == 4
    forged = REGISTRY.get_sample_value("rollcall_forged_records_total", {"topic": topic})
    assert forged == before + 3
    assert [job.accepted.job_id for job in read_ledger(settings).jobs] == [1, 2]

    with RangeReader(settings.kafka, "test") as reader:
        end = reader.bounds(topic, 0)[1]
        for begin in (0, first, first + 30):
            found = [
                (record.offset(), record.value() is None)
                for records in reader.batches(Range(topic, 0, begin, end), at_once=10)
                for record in records
            ]
            assert found[-2:] == [(first + 59, True), (end - 1, False)]


def test_a_run_of_them_is_stepped_over_at_once(
    env: Ground, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One client asks for all ends, one record stands for a run, and none between runs is lost."""
    ensure_topics(env.settings)
    topic = env.settings.topics.user_events.name
    made: list[str] = []

    def make_counted(
        kafka: Mapping[str, str], purpose: str, properties: dict[str, Any]
    ) -> Consumer:
        made.append(purpose)
        return make_reader(kafka, purpose, properties)

    monkeypatch.setattr("schemas.clients.unreadable.make_reader", make_counted)
    expected: list[tuple[int, bool]] = []
    for sizes in ([1] * 12, [3, 1, 40, 2, 2, 5], [7]):
        for size in sizes:
            append_unreadable(env.settings, topic, 0, records=size)
        good = append_with_header(env.settings, (topic, 0), b"good", b"name")
        expected += [(good - 1, True), (good, False)]
    end = expected[-1][0] + 1
    with RangeReader(env.settings.kafka, "test") as reader:
        for _ in range(2):
            found = [
                (record.offset(), record.value() is None)
                for records in reader.batches(Range(topic, 0, 0, end), at_once=10)
                for record in records
            ]
            assert found == expected
    assert made == ["probe"]


@pytest.fixture
def unanswered(monkeypatch: pytest.MonkeyPatch) -> Iterator[UnreadableBatches]:
    """Batches whose ends are asked for where nobody answers; a search is soon over."""
    monkeypatch.setattr("schemas.clients.unreadable._MOST_S", 0.2)
    nobody = {"bootstrap.servers": f"127.0.0.1:{free_port()}"}
    reader = make_reader(nobody, "test")
    batches = UnreadableBatches(nobody, reader)
    yield batches
    batches.close()
    reader.close()


def reported(partition: int) -> Message:
    """What a reader is told of such a batch."""
    error = KafkaError(KafkaError._BAD_COMPRESSION)
    return Message(topic="t", partition=partition, offset=4, error=error)


def test_a_search_that_came_to_nothing_holds_up_no_other(
    unanswered: UnreadableBatches, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The pause after it is of its batch alone: one in another partition is looked at."""
    monkeypatch.setattr("schemas.clients.unreadable._PAUSE_S", 3600)
    monkeypatch.setattr("schemas.clients.unreadable._SEARCHES", 1)
    reports = [reported(0), reported(1)]
    for report in reports:
        assert unanswered.stepped_over(report) is report
    assert [unanswered.is_damaged(report) for report in reports] == [True, True]


def test_a_search_for_its_end_that_is_not_answered_ends(
    unanswered: UnreadableBatches, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The report is given back, as if nothing were known; after some it holds up its readers."""
    monkeypatch.setattr("schemas.clients.unreadable._PAUSE_S", 0)
    report = reported(0)
    for _ in range(3):
        assert not unanswered.is_damaged(report)
        assert unanswered.stepped_over(report) is report
    assert unanswered.is_damaged(report)
