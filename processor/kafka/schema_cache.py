"""Teaches the codec the schema ids that records name, before they are decoded.

An id that is not known yet is asked for in a thread, and its partition waits:
what the registry cannot tell now is neither skipped nor a dead letter.
What it does tell is never asked again, because an id never changes its meaning; only
an id that it did not have may come to be.
Where no registry is set nothing waits, and such a record is a dead letter.
"""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Final

import structlog

from processor.errors import RefusedToStartError
from processor.kafka.registry_client import RegistryClient
from schemas.codec import codec
from schemas.codec.registry_protocol import (
    RegistryRefusedError,
    RegistryUnreachableError,
    learning,
    registering,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from schemas.config.registry import SchemaRegistry
    from schemas.log.topics import Topics

_FIRST_PAUSE_S: Final = 0.2
_LONGEST_PAUSE_S: Final = 5.0
_ALARM_EVERY_S: Final = 60.0
_ASK_AGAIN_S: Final = 60.0
"""After so long an id that the registry did not have is asked for once more."""
_JOIN_S: Final = 1.0
_log = structlog.stdlib.get_logger("rollcall.processor")


class WriterSchemas:
    """What is known of other writers' schemas; :meth:`unknown` and :meth:`want` do not block."""

    def __init__(self, registry: SchemaRegistry | None) -> None:
        self._registry = registry
        self._wanted: dict[int, set[int]] = {}
        self._is_woken = threading.Event()
        self._is_stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="schemas", daemon=True)
        self._unreachable_since_s: float | None = None
        self._alarm_at_s = 0.0
        self._ask_again_at_s = 0.0

    def register(self, topics: Topics) -> None:
        """Our own schemas have ids on return, and values are written by them.

        Raises:
            RegistryUnreachableError: the registry does not answer.
            RefusedToStartError: it will not have one of our schemas.
        """
        if self._registry is not None:
            client = RegistryClient(self._registry)
            try:
                client.hold(registering(topics))
            except RegistryRefusedError as error:
                raise RefusedToStartError(str(error)) from error
            finally:
                client.close()

    def learn_now(self, values: Iterable[bytes | None]) -> None:
        """Every id in these values is known on return; for whoever may block.

        Raises:
            RegistryUnreachableError: the registry does not answer.
        """
        unknown = self.unknown(values)
        if not unknown or self._registry is None:
            return
        client = RegistryClient(self._registry)
        try:
            for schema_id in unknown:
                client.hold(learning(schema_id))
        finally:
            client.close()

    def learn_all(self, values: Iterable[bytes | None]) -> None:
        """The same for a topic of which no record may be left out, with or without a registry.

        Raises:
            RegistryUnreachableError: the registry does not answer, or none is set.
        """
        held = list(values)
        self.learn_now(held)
        if unknown := codec.unknown_ids(held):
            raise RegistryUnreachableError(
                f"Records were written by schema ids {sorted(unknown)}, and no schema registry is"
                " set: set ROLLCALL_SCHEMA_REGISTRY_URL as it was when they were written."
            )

    def unknown(self, values: Iterable[bytes | None]) -> dict[int, int]:
        """The ids to wait for, each with the index of the first value that has it."""
        if self._registry is None:
            return {}
        # A dead letter may be tried again once its schema has been registered.
        if time.monotonic() >= self._ask_again_at_s:
            self._ask_again_at_s = time.monotonic() + _ASK_AGAIN_S
            codec.forget_unregistered()
        return codec.unknown_ids(values)

    def want(self, schema_ids: Iterable[int], partition: int) -> None:
        """Have these ids learned as soon as the registry can be asked."""
        for schema_id in schema_ids:
            self._wanted.setdefault(schema_id, set()).add(partition)
        self._is_woken.set()
        if self._thread.ident is None:
            self._thread.start()

    def stop(self) -> None:
        """Stop learning; a question under way is left to its time-out."""
        self._is_stopping.set()
        self._is_woken.set()
        if self._thread.is_alive():
            self._thread.join(_JOIN_S)

    def _run(self) -> None:
        assert self._registry is not None, "nothing is learned without a registry"
        client = RegistryClient(self._registry)
        pause_s = _FIRST_PAUSE_S
        while not self._is_stopping.is_set():
            self._is_woken.wait()
            self._is_woken.clear()
            try:
                self._learn_wanted(client)
                pause_s = _FIRST_PAUSE_S
            except RegistryUnreachableError as error:
                self._raise_alarm(error, time.monotonic())
                self._is_stopping.wait(pause_s)
                pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)
                self._is_woken.set()
        client.close()

    def _learn_wanted(self, client: RegistryClient) -> None:
        for schema_id in list(self._wanted):
            if self._is_stopping.is_set():
                return
            client.hold(learning(schema_id))
            partitions = self._wanted.pop(schema_id)
            _log.info("schema id learned", schema_id=schema_id, partitions=sorted(partitions))
        self._unreachable_since_s = None

    def _raise_alarm(self, error: RegistryUnreachableError, now_s: float) -> None:
        """Once a minute: partitions stand still until the registry answers."""
        self._unreachable_since_s = self._unreachable_since_s or now_s
        if now_s < self._alarm_at_s:
            return
        self._alarm_at_s = now_s + _ALARM_EVERY_S
        waiting = dict(self._wanted)
        _log.error(
            "schema registry does not answer, partitions wait",
            partitions=sorted(set[int]().union(*waiting.values())),
            schema_ids=sorted(waiting),
            waiting_s=round(now_s - self._unreachable_since_s, 1),
            error=str(error),
        )
