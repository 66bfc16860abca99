"""Decodes events by the schemas of the registry: an unknown id is fetched, never skipped.

All readers must agree on what a log holds, so a schema that can't be fetched now stops its reader.
A schema that was fetched is kept, because an id never changes its meaning; an id that the
registry did not have is asked for again, because it may be registered later.
"""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Final

import structlog

from schemas.clients.registry_client import RegistryClient
from schemas.codec import codec, framing
from schemas.codec.registry_protocol import RegistryUnreachableError, learning, registering

if TYPE_CHECKING:
    from collections.abc import Iterable

    from schemas.config.registry import SchemaRegistry
    from schemas.events import Event
    from schemas.log.topics import Topics

_ALARM_EVERY_S: Final = 60.0
_ASK_AGAIN_S: Final = 60.0
"""After so long an id that the registry did not have is asked for once more."""
_log = structlog.stdlib.get_logger("rollcall.schemas")


class EventSchemas:
    """Decodes events, and fetches schemas that are missing; may be used by many threads."""

    def __init__(self, registry: SchemaRegistry | None) -> None:
        self._registry = registry
        self._lock = threading.Lock()
        self._alarm_at_s = 0.0
        self._ask_again_at_s = 0.0

    @property
    def has_registry(self) -> bool:
        """True where a registry is set, so that an unknown id may become known."""
        return self._registry is not None

    def register(self, topics: Topics) -> None:
        """Register our own schemas; values are written with their ids from then on.

        Raises:
            RegistryUnreachableError: the registry does not answer.
            RegistryRefusedError: it will not have one of our schemas.
        """
        if self._registry is not None:
            client = RegistryClient(self._registry)
            try:
                client.run(registering(topics))
            finally:
                client.close()

    def decode(self, value: bytes | None) -> Event:
        """Decode an event; fetch its schema first where that is unknown.

        Where no registry is set, a value with a schema id is an error and not skipped: it could
        be a job that was answered with 200.

        Raises:
            UndecodableError: it is no event, and never will be.
            RegistryUnreachableError: its schema can't be fetched now.
        """
        schema_id = framing.unknown_id(value)
        if schema_id is not None:
            self._learn([schema_id])
        return codec.decode(value)

    def decode_or_none(self, value: bytes | None) -> Event | None:
        """Return the event; None where the projection makes a dead letter of it.

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
        """Fetch the schemas of all unknown ids in these values, if a registry is set.

        Raises:
            RegistryUnreachableError: a schema can't be fetched now.
        """
        if unknown := self.unknown(values):
            self._learn(unknown)

    def unknown(self, values: Iterable[bytes | None]) -> dict[int, int]:
        """Return the ids to be fetched, each with the index of the first value that has it."""
        if self._registry is None:
            return {}
        # A dead letter may be tried again once its schema has been registered.
        if time.monotonic() >= self._ask_again_at_s:
            self._ask_again_at_s = time.monotonic() + _ASK_AGAIN_S
            framing.forget_unregistered()
        return framing.unknown_ids(values)

    def _learn(self, schema_ids: Iterable[int]) -> None:
        try:
            with self._lock:
                self._ask(schema_ids)
        except RegistryUnreachableError as error:
            self._raise_alarm(error, time.monotonic())
            raise

    def _ask(self, schema_ids: Iterable[int]) -> None:
        if self._registry is None:
            raise RegistryUnreachableError(
                f"Records were written by schema ids {sorted(schema_ids)}, and no schema registry"
                " is set: set ROLLCALL_SCHEMA_REGISTRY_URL as it was when they were written."
            )
        client = RegistryClient(self._registry)
        try:
            for schema_id in schema_ids:
                client.run(learning(schema_id))
        finally:
            client.close()

    def _raise_alarm(self, error: RegistryUnreachableError, now_s: float) -> None:
        """Log, once a minute at most, that the reader of a topic waits for a schema."""
        if now_s >= self._alarm_at_s:
            self._alarm_at_s = now_s + _ALARM_EVERY_S
            _log.error("a schema is not known, its topic waits", error=str(error))


OWN_SCHEMAS: Final = EventSchemas(None)
"""For whoever has no registry."""
