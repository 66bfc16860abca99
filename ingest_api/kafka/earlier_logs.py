"""Earlier versions of the log: the names of their topics, and their reconciliation keys.

`job-events` of each version stays when its other topics are deleted, and its first
events name the key.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ingest_api.errors import TopicSetupError
from ingest_api.kafka.log_setup import fetch_key
from schemas.clients.errors import KafkaUnreachableError
from schemas.clients.job_events import topic_names

if TYPE_CHECKING:
    from schemas.config.settings import Settings


class EarlierLogs:
    """Looks up earlier versions of the log, and caches what it finds, which never changes."""

    def __init__(self, settings: Settings) -> None:
        self.reconciliation_key = settings.reconciliation_key
        self._settings = settings
        self._keys: dict[int, str] = {}

    def version_of(self, user_events: str) -> int | None:
        """Return the earlier version whose ``user-events`` had that name, or None."""
        version = self._settings.version_of(user_events)
        return version if version and version < self._settings.log_version else None

    def fetch_key(self, version: int) -> str | None:
        """Return the reconciliation key of that version; None if its `job-events` is gone.

        Blocks for some seconds at most.

        Raises:
            TopicSetupError: Kafka cannot be asked.
        """
        if version not in self._keys:
            settings = self._settings.at_version(version)
            try:
                names = topic_names(settings.kafka)
            except KafkaUnreachableError as error:
                raise TopicSetupError(str(error)) from error
            key = fetch_key(settings) if settings.topics.job_events.name in names else None
            if key is None:
                return None
            self._keys[version] = key
        return self._keys[version]
