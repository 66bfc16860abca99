"""A header whose name is no text ends no reader: the record has none."""

from __future__ import annotations

from typing import TYPE_CHECKING

from deploy.log_migration.log_state import read_ledger
from ingest_api.kafka.log_setup import ensure_log
from schemas.clients.ranges import Range, RangeReader
from schemas.log.record_headers import headers_of
from tests.integration.log.test_signed_log import accept
from tests.support.data.raw_batches import append_with_header

if TYPE_CHECKING:
    from tests.support.servers.surroundings import Ground

_NO_TEXT = b"\xff"


def test_uploads_are_taken_behind_one_in_job_events(env: Ground) -> None:
    """Whoever wrote it, and whatever it holds."""
    settings = env.settings
    ensure_log(settings)
    assert accept(settings, 1) == "accepted"
    append_with_header(settings, (settings.topics.job_events.name, 0), b"no event", _NO_TEXT)
    assert accept(settings, 2) == "accepted"
    assert [job.accepted.job_id for job in read_ledger(settings).jobs] == [1, 2]


def test_its_record_may_be_asked_for_headers_again(env: Ground) -> None:
    """The list that confluent-kafka gives then would end the process."""
    settings = env.settings
    ensure_log(settings)
    topic = settings.topics.user_events.name
    offset = append_with_header(settings, (topic, 0), b"value", _NO_TEXT)
    with RangeReader(settings.kafka, "test") as reader:
        (record,) = next(iter(reader.batches(Range(topic, 0, offset, offset + 1), at_once=1)))
    assert [*headers_of(record), *headers_of(record)] == []
