"""Events by the schemas that the registry knows, for those who follow `job-events` and others.

An id that is not known yet is asked for where it is met, and is never skipped: readers of
`job-events` must agree on what it holds.
Where no registry is set, a value that names an id stops its reader in the same way, because
leaving it out could leave out a job that was answered with 200.
"""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Final

import structlog

from ingest_api.kafka.registry_client import RegistryClient
from schemas.codec import codec
from schemas.codec.registry_protocol import RegistryUnreachableError, learning, registering

if TYPE_CHECKING:
    from collections.abc import Iterable

    from schemas.config.registry import SchemaRegistry
    from schemas.events import Event
    from schemas.log.topics import Topics

_ALARM_EVERY_S: Final = 60.0
_log = structlog.stdlib.get_logger("rollcall.api")


class EventSchemas:
    """Decodes, and asks the registry for what it must know first; may be used by many threads."""

    def __init__(self, registry: SchemaRegistry | None) -> None:
        self._registry = registry
        self._lock = threading.Lock()
        self._alarm_at_s = 0.0

    @property
    def has_registry(self) -> bool:
        """Whether an id that is not known may come to be."""
        return self._registry is not None

    def register(self, topics: Topics) -> None:
        """Our own schemas have ids on return, and values are written by them.

        Raises:
            RegistryUnreachableError: the registry does not answer.
            RegistryRefusedError: it will not have one of our schemas.
        """
        if self._registry is not None:
            client = RegistryClient(self._registry)
            try:
                client.hold(registering(topics))
            finally:
                client.close()

    def decode(self, value: bytes | None) -> Event:
        """The event; asks for its schema first where it is in none that is known.

        Raises:
            UndecodableError: it is no event, and never will be.
            RegistryUnreachableError: its schema cannot be had now.
        """
        schema_id = codec.unknown_id(value)
        if schema_id is not None:
            self._learn(schema_id)
        return codec.decode(value)

    def decode_or_none(self, value: bytes | None) -> Event | None:
        """The event; None where the projection makes a dead letter of it.

        Raises:
            RegistryUnreachableError: its schema cannot be had now, and a registry is set.
        """
        try:
            return self.decode(value)
        except codec.UndecodableError:
            return None
        except RegistryUnreachableError:
            if self.has_registry:
                raise
            return None

    def learn(self, values: Iterable[bytes | None]) -> None:
        """Every id in these values is known on return, as far as a registry is set.

        Raises:
            RegistryUnreachableError: a schema cannot be had now.
        """
        if self._registry is not None:
            for schema_id in codec.unknown_ids(values):
                self._learn(schema_id)

    def _learn(self, schema_id: int) -> None:
        try:
            with self._lock:
                self._ask(schema_id)
        except RegistryUnreachableError as error:
            self._raise_alarm(error, time.monotonic())
            raise

    def _ask(self, schema_id: int) -> None:
        if self._registry is None:
            raise RegistryUnreachableError(
                f"A record was written by schema id {schema_id}, and no schema registry is"
                " set: set ROLLCALL_SCHEMA_REGISTRY_URL as it was when it was written."
            )
        client = RegistryClient(self._registry)
        try:
            client.hold(learning(schema_id))
        finally:
            client.close()

    def _raise_alarm(self, error: RegistryUnreachableError, now_s: float) -> None:
        """Once a minute: whoever reads the topic stands still until the schema is there."""
        if now_s >= self._alarm_at_s:
            self._alarm_at_s = now_s + _ALARM_EVERY_S
            _log.error("a schema is not known, its topic waits", error=str(error))


OWN_SCHEMAS: Final = EventSchemas(None)
"""For whoever has no registry."""
