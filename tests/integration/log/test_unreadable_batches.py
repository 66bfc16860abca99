"""A batch that nobody can decompress stops no reader: all step over it alike."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client import REGISTRY

from deploy.log_migration.log_state import read_ledger
from ingest_api.kafka.log_setup import ensure_log
from schemas.clients.ranges import Range, RangeReader
from tests.integration.log.test_signed_log import accept
from tests.support.data.raw_batches import append_unreadable

if TYPE_CHECKING:
    from tests.support.servers.surroundings import Ground


def test_uploads_are_taken_behind_one_in_job_events(env: Ground) -> None:
    """Whoever reads the topic comes to the same, from its beginning, from the batch, behind it."""
    settings = env.settings
    ensure_log(settings)
    topic = settings.topics.job_events.name
    assert accept(settings, 1) == "accepted"
    for records in (1, 7, 60):
        first = append_unreadable(settings, topic, 0, records=records)
    assert accept(settings, 2) == "accepted"
    assert [job.accepted.job_id for job in read_ledger(settings).jobs] == [1, 2]
    forged = REGISTRY.get_sample_value("rollcall_forged_records_total", {"topic": topic})
    assert forged is not None
    assert forged >= 3

    with RangeReader(settings.kafka, "test") as reader:
        end = reader.bounds(topic, 0)[1]
        for begin in (0, first, first + 30):
            found = [
                (record.offset(), record.value() is None)
                for records in reader.batches(Range(topic, 0, begin, end), at_once=10)
                for record in records
            ]
            assert found[-2:] == [(first + 59, True), (end - 1, False)]
