"""Topics and accounts are made before uploads are accepted, tried until it succeeds."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

import structlog

from ingest_api.errors import StoreUnavailableError, TopicSetupError
from ingest_api.kafka.log_setup import ensure_log, tell_unsigned
from ingest_api.postgres.own_tables import make_own_tables
from schemas.clients.backoff import Backoff, Pauses

if TYPE_CHECKING:
    from ingest_api.app.settings import ApiSettings
    from ingest_api.auth.accounts import Accounts
    from ingest_api.event_log.job_events import JobLog
    from ingest_api.imports.accept_upload import UploadAcceptance
    from ingest_api.postgres.pool import Database

OWN_TABLES: Final = (
    "ingest_api.auth",
    "ingest_api.audit",
    "ingest_api.notices",
    "ingest_api.throughput",
)
"""Packages with tables of the API's own; the first makes their schema."""
_BACKOFF: Final = Backoff(first_s=0.2, longest_s=3.0)
_log = structlog.stdlib.get_logger("rollcall.api")


class Startup:
    """Makes topics and accounts once Kafka and Postgres are up, and says what is still missing."""

    def __init__(
        self,
        settings: ApiSettings,
        job_log: JobLog,
        uploads: UploadAcceptance,
        *,
        accounts: Accounts,
        database: Database,
    ) -> None:
        self._settings = settings
        self._job_log = job_log
        self._uploads = uploads
        self._accounts = accounts
        self._database = database
        self.is_done = asyncio.Event()
        self._open = {
            "topics": "The topics are not there yet.",
            "accounts": "The accounts are not there yet.",
        }

    def reasons(self) -> list[str]:
        """Return what is still missing, in words."""
        return list(self._open.values())

    async def run(self) -> None:
        """Make topics and accounts; return once both are there.

        Raises:
            LogMismatchError: the log is for another reconciliation key than the one set.
        """
        await asyncio.gather(self._make_topics(), self._make_accounts())
        self.is_done.set()

    async def _make_topics(self) -> None:
        pauses = Pauses(_BACKOFF)
        while "topics" in self._open:
            try:
                counts_unsigned = await asyncio.to_thread(ensure_log, self._settings.shared)
            except TopicSetupError as error:
                self._open["topics"] = str(error)
                _log.warning("topics cannot be made yet", error=str(error))
                await asyncio.sleep(pauses.next_s())
            else:
                if counts_unsigned:
                    tell_unsigned(self._settings.shared)
                self._job_log.start()
                self._uploads.warm()
                del self._open["topics"]

    async def _make_accounts(self) -> None:
        pauses = Pauses(_BACKOFF)
        while "accounts" in self._open:
            try:
                await make_own_tables(self._database, *OWN_TABLES)
                await self._accounts.prepare(self._settings.auth.admin_password)
            except StoreUnavailableError as error:
                _log.warning("accounts cannot be made yet", error=str(error))
                await asyncio.sleep(pauses.next_s())
            else:
                del self._open["accounts"]
