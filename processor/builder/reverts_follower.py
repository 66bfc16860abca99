"""Follows in `job-events` which jobs are reverted (undone), for whoever builds an instance.

The rule itself is :mod:`schemas.log.reverts`, which the API's side follows too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from processor.builder.log_offsets import check_beginning
from processor.decoding.records import moment_of
from schemas.clients.event_schemas import EventSchemas
from schemas.clients.topic_follower import FROM_FIRST, TopicFollower
from schemas.log.reverts import Reverts

if TYPE_CHECKING:
    from schemas.clients.topic_follower import LoggedEvent
    from schemas.config.settings import Settings

_QUIET_S: Final = 10.0


class RevertsFollower:
    """Reads `job-events` from its beginning on, outside any group."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._reverts = Reverts()
        schemas = EventSchemas(settings.schema_registry)
        self._follower = TopicFollower(
            settings.kafka,
            settings.topics.job_events,
            schemas,
            properties=FROM_FIRST,
            keyring=settings.keyring,
        )

    def read(self) -> Reverts:
        """Return the reverts up to the topic's end; block until that was reached once.

        Raises:
            LogTruncatedError: the first records are gone, and with them what was undone.
            KafkaUnreachableError: Kafka does not answer, or the topic is not there.
            RegistryUnreachableError: an event is in a schema that cannot be had now; the next call
                goes on with it.
        """
        if not self._follower.has_caught_up:
            # Else jobs whose undo is gone would be taken for jobs that count.
            check_beginning(self._settings, self._settings.topics.job_events)
        for logged in self._follower.read_to_end(_QUIET_S):
            apply_logged(self._reverts, logged)
        return self._reverts

    def close(self) -> None:
        """Leave Kafka."""
        self._follower.close()


def apply_logged(reverts: Reverts, logged: LoggedEvent) -> None:
    """Read the event that comes next, whatever time its record claims."""
    reverts.apply(logged.offset, logged.event, moment_of(logged.recorded_ms))
