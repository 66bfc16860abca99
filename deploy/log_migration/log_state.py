"""Reads the jobs and moves of a log from `job-events`, and appends a move's stages there."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from deploy.log_migration import MoveFailedError
from deploy.log_migration.records import CopiedRecord, RecordWriter, signed
from ingest_api.event_log.ledger import JobLedger
from schemas.clients.errors import KafkaUnreachableError
from schemas.clients.job_events import read_job_events
from schemas.codec.codec import encode
from schemas.codec.framing import MARKER, fingerprint_of, frame_of
from schemas.codec.registry_protocol import RegistryUnreachableError
from schemas.events import LogMove

if TYPE_CHECKING:
    from schemas.config.settings import Settings
    from schemas.events import LogMoveStage

_KEY: Final = b"log"
_QUIET_S: Final = 30.0


def read_ledger(settings: Settings) -> JobLedger:
    """Return the jobs and moves of the log, up to the present end of `job-events`.

    Raises:
        MoveFailedError: Kafka does not answer.
    """
    ledger = JobLedger()
    try:
        with read_job_events(settings, quiet_s=_QUIET_S) as events:
            for logged in events:
                ledger.apply(logged.offset, logged.event)
    except (KafkaUnreachableError, RegistryUnreachableError) as error:
        raise MoveFailedError(str(error)) from error
    return ledger


def append_stage(old: Settings, new: Settings, stage: LogMoveStage, *, command: str) -> None:
    """Append a stage of the move to `job-events`, and wait for its acknowledgement."""
    now = datetime.now(UTC)
    event = LogMove(
        stage=stage,
        version=new.log_version,
        partitions=new.topics.user_events.partitions,
        command=command,
        recorded_at=now,
    )
    writer = RecordWriter(old.kafka, old.topics.job_events)
    # In the framing that every reader knows without a registry.
    body = encode(event).removeprefix(frame_of(LogMove))
    value = MARKER + fingerprint_of(LogMove) + body
    topic = old.topics.job_events.name
    record = CopiedRecord(_KEY, value, 0, int(now.timestamp() * 1000))
    writer.write(0, [signed(record, old.keyring, topic)])
    writer.flush()
