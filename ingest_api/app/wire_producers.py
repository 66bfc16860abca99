"""Wire the routes about other producers: sources, dead letters and their retries."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ingest_api.event_log.user_events import UserLog
from ingest_api.kafka.earlier_logs import EarlierLogs
from ingest_api.producers.dead_letter_retries import DeadLetterRetries
from ingest_api.producers.dead_letter_topic import DeadLetterTopic
from ingest_api.producers.dead_letters import DeadLetters
from ingest_api.producers.retry_check import RetryCheck
from ingest_api.producers.routes import add_producer_routes
from ingest_api.producers.source_counts import SourceReader

if TYPE_CHECKING:
    from sanic import Blueprint

    from ingest_api.app.startup import Startup
    from ingest_api.event_log.job_events import JobLog
    from ingest_api.postgres.pool import Database
    from schemas.config.settings import Settings


class ProducerParts:
    """The parts behind these routes: added to the application, closed after it."""

    def __init__(
        self, settings: Settings, database: Database, job_log: JobLog, startup: Startup
    ) -> None:
        topics = settings.topics
        self._sources = SourceReader(database)
        self._user_log = UserLog(settings, job_log, startup.reasons)
        self._dead_letters = DeadLetters(
            DeadLetterTopic(settings.kafka, topics.dead_letters.name),
            DeadLetterRetries(database, topics.dead_letters.name),
            self._user_log,
            EarlierLogs(settings),
            RetryCheck(settings, database, job_log),
        )
        self._job_log = job_log

    def add_routes(self, api: Blueprint) -> None:
        """Add all routes of these parts."""
        add_producer_routes(api, self._dead_letters, self._sources, self._job_log)

    def close(self) -> None:
        """Leave the broker, and end the threads."""
        self._dead_letters.close()
        self._user_log.close()
