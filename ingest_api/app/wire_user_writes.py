"""Wire the routes that write single users, show their history, and define attributes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ingest_api.attributes.definitions import AttributeDefinitions
from ingest_api.attributes.routes import add_attribute_routes
from ingest_api.event_log.user_events import UserLog
from ingest_api.kafka.log_reader import LogReader
from ingest_api.users.history import UserHistory
from ingest_api.users.write_outcomes import WriteOutcomes
from ingest_api.users.write_routes import add_history_route, add_user_write_routes
from ingest_api.users.writes import UserWrites

if TYPE_CHECKING:
    from sanic import Blueprint

    from ingest_api.app.settings import ApiSettings
    from ingest_api.app.startup import Startup
    from ingest_api.event_log.job_events import JobLog
    from ingest_api.postgres.pool import Database


class UserWriteParts:
    """The parts behind these routes: added to the application, run beside it, closed after it."""

    def __init__(
        self, settings: ApiSettings, database: Database, job_log: JobLog, startup: Startup
    ) -> None:
        shared = settings.shared
        user_events = shared.topics.user_events
        self._outcomes = WriteOutcomes(database)
        self._log = UserLog(shared, job_log, startup.reasons)
        self._writes = UserWrites(
            database,
            self._outcomes,
            self._log,
            reconciliation_key=shared.reconciliation_key,
            timeout_s=settings.write_timeout_s,
        )
        self._job_log = job_log
        self.attributes = AttributeDefinitions(
            database,
            self._log,
            job_log.ledger,
            reconciliation_key=shared.reconciliation_key,
            timeout_s=settings.write_timeout_s,
        )
        log_reader = LogReader(shared.kafka, user_events.name)
        self.history = UserHistory(database, job_log, log_reader, shared.reconciliation_key)

    def add_routes(self, api: Blueprint) -> None:
        """Add all routes of these parts."""
        add_user_write_routes(api, self._writes)
        add_history_route(api, self.history)
        add_attribute_routes(api, self.attributes, self._job_log)

    async def run(self) -> None:
        """Follow the outcomes of writes until cancelled."""
        await self._outcomes.run()

    def close(self) -> None:
        """Leave the broker, and end the threads."""
        self.history.close()
        self._log.close()
