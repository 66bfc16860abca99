"""Learns in a thread the registry's schemas that records name, before they are decoded.

An id that is not known yet is asked for while its partition waits: what the registry cannot
tell now is neither skipped nor a dead letter.
Where no registry is set nothing waits, and such a record is a dead letter.
"""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Final

import structlog

from schemas.clients.backoff import Backoff, Pauses
from schemas.clients.event_schemas import EventSchemas
from schemas.clients.registry_client import RegistryClient
from schemas.codec.registry_protocol import RegistryUnreachableError, learning
from schemas.runtime.essential import EssentialThread

if TYPE_CHECKING:
    from collections.abc import Iterable

    from schemas.config.registry import SchemaRegistry

_BACKOFF: Final = Backoff(first_s=0.2, longest_s=5.0)
_ALARM_EVERY_S: Final = 60.0
_JOIN_S: Final = 1.0
_log = structlog.stdlib.get_logger("rollcall.processor")


class WriterSchemas(EventSchemas):
    """Other writers' schemas, as far as known; :meth:`unknown` and :meth:`want` do not block."""

    def __init__(self, registry: SchemaRegistry | None) -> None:
        super().__init__(registry)
        self._wanted: dict[int, set[int]] = {}
        self._is_woken = threading.Event()
        self._thread = EssentialThread("schemas", self._run)
        self._unreachable_since_s: float | None = None
        self._next_alarm_s = 0.0

    def want(self, schema_ids: Iterable[int], partition: int) -> None:
        """Have these ids learned as soon as the registry can be asked."""
        for schema_id in schema_ids:
            self._wanted.setdefault(schema_id, set()).add(partition)
        self._is_woken.set()
        if self._thread.ident is None:
            self._thread.start()

    def stop(self) -> None:
        """Stop learning; a question under way is left to its time-out."""
        self._thread.stopping.set()
        self._is_woken.set()
        self._thread.stop(_JOIN_S)

    def _run(self) -> None:
        assert self._registry is not None, "nothing is learned without a registry"
        client = RegistryClient(self._registry)
        pauses = Pauses(_BACKOFF)
        while not self._thread.stopping.is_set():
            self._is_woken.wait()
            self._is_woken.clear()
            try:
                self._learn_wanted(client)
                pauses.reset()
            except RegistryUnreachableError as error:
                self._report_waiting(error, time.monotonic())
                self._thread.stopping.wait(pauses.next_s())
                self._is_woken.set()
        client.close()

    def _learn_wanted(self, client: RegistryClient) -> None:
        for schema_id in list(self._wanted):
            if self._thread.stopping.is_set():
                return
            client.run(learning(schema_id))
            partitions = self._wanted.pop(schema_id)
            _log.info("schema id learned", schema_id=schema_id, partitions=sorted(partitions))
        self._unreachable_since_s = None

    def _report_waiting(self, error: RegistryUnreachableError, now_s: float) -> None:
        """Once a minute: partitions stand still until the registry answers."""
        self._unreachable_since_s = self._unreachable_since_s or now_s
        if now_s < self._next_alarm_s:
            return
        self._next_alarm_s = now_s + _ALARM_EVERY_S
        waiting = dict(self._wanted)
        _log.error(
            "schema registry does not answer, partitions wait",
            partitions=sorted(set[int]().union(*waiting.values())),
            schema_ids=sorted(waiting),
            waiting_s=round(now_s - self._unreachable_since_s, 1),
            error=str(error),
        )
