"""Wait for the outcomes of the writes of this process.

The processor writes an outcome in the transaction of its event and notifies
(:data:`schemas.read_model.tables.OUTCOME_CHANNEL`) the ids of the events.
A notification is only a hint: one that is lost, while the connection is made again
or behind a pooler that knows no LISTEN, delays an answer by a second, because
outcomes that are waited for are polled as often anyway.
"""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

import structlog

from ingest_api.errors import StoreUnavailableError, UnavailableError
from schemas.clients.backoff import Backoff, Pauses
from schemas.log.positions import offset_sql, partition_sql
from schemas.read_model.tables import OUTCOME_CHANNEL
from schemas.runtime.outage import POSTGRES

if TYPE_CHECKING:
    from collections.abc import Generator

    from ingest_api.postgres.pool import Database

_POLL_EVERY_S: Final = 1.0
_SELECT_TIMEOUT_S: Final = 3.0
_BACKOFF: Final = Backoff(first_s=0.1, longest_s=3.0)
_MOST_WAITING: Final = 2000
_log = structlog.stdlib.get_logger("rollcall.api")


@dataclass(frozen=True, slots=True)
class WriteOutcome:
    """The outcome of one write; ``code``, ``reason`` and ``column`` only where it was rejected.

    ``is_shown``: whether readers see what it says.
    """

    event_id: str
    outcome: Literal["inserted", "updated", "unchanged", "deleted", "rejected"]
    user_id: int | None
    code: str | None
    reason: str | None
    column: str | None
    is_shown: bool


class WriteOutcomes:
    """Gives each waiting request the outcome of its event; used from one event loop."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._waiting: dict[str, set[asyncio.Future[WriteOutcome]]] = {}
        self._due = set[str]()
        self._is_due = asyncio.Event()
        self._is_listening = asyncio.Event()

    @property
    def is_listening(self) -> bool:
        """True while Postgres notifies this process: as far as known, it can be reached."""
        return self._is_listening.is_set()

    async def run(self) -> None:
        """Listen and poll until cancelled; go on when Postgres comes back."""
        await asyncio.gather(self._listen(), self._poll())

    @contextlib.contextmanager
    def expected(self, event_id: str) -> Generator[asyncio.Future[WriteOutcome]]:
        """Return a future of the outcome of an event that is appended within the context.

        Raises:
            UnavailableError: too many wait already.
        """
        if len(self._waiting) >= _MOST_WAITING:
            raise UnavailableError("Too many writes are under way: nothing was kept, try again")
        future: asyncio.Future[WriteOutcome] = asyncio.get_running_loop().create_future()
        waiting = self._waiting.setdefault(event_id, set())
        waiting.add(future)
        try:
            yield future
        finally:
            future.cancel()
            waiting.discard(future)
            if not waiting:
                self._waiting.pop(event_id, None)

    # A user of a delsert's new audience, made behind its beginning, is hidden until that audience
    # is active.  Any other one who is not there was there, and has been deleted since.
    _OUTCOMES: Final = f"""
    SELECT event_id, outcome, user_id, code, reason, "column",
           (outcome <> 'inserted'
            OR EXISTS (SELECT FROM public.users WHERE id = user_id)
            OR NOT EXISTS (SELECT FROM public.jobs JOIN public.job_partitions AS part USING (job_id)
                           WHERE mode = 'delsert' AND state = 'PROCESSING'
                             AND part.partition = {partition_sql("user_id")}
                             AND part.opened_offset < {offset_sql("user_id")})) AS is_shown
    FROM public.write_outcomes
    """  # noqa: S608 - made of constants
    # Event ids of one Idempotency-Key have the same prefix and the same length.
    _SELECT_FIRST: Final = f"""
    {_OUTCOMES} WHERE event_id BETWEEN %(first)s AND %(last)s ORDER BY recorded_at LIMIT 1
    """

    async def fetch_first(self, first: str, last: str) -> WriteOutcome | None:
        """Return the earliest outcome of the events with ids between these, both included.

        Raises:
            StoreUnavailableError: Postgres doesn't answer.
        """
        rows = await self._database.select_projected(
            self._SELECT_FIRST, {"first": first, "last": last}
        )
        return WriteOutcome(**rows[0]) if rows else None

    async def _listen(self) -> None:
        pauses = Pauses(_BACKOFF)
        while True:
            try:
                async with contextlib.aclosing(
                    self._database.notifications(OUTCOME_CHANNEL)
                ) as payloads:
                    async for payload in payloads:
                        self._on_notification(payload)
                        pauses.reset()
            except StoreUnavailableError as error:
                if not POSTGRES.is_on:
                    _log.warning("outcomes cannot be listened for", error=str(error))
            self._is_listening.clear()
            await asyncio.sleep(pauses.next_s())

    def _on_notification(self, payload: str) -> None:
        if not self.is_listening:
            self._is_listening.set()
            self._due.update(self._waiting)
        self._due.update(self._waiting.keys() & set(payload.split()))
        if self._due:
            self._is_due.set()

    async def _poll(self) -> None:
        """Select outcomes, one query at a time, for all that were notified since the last one."""
        while True:
            try:
                async with asyncio.timeout(_POLL_EVERY_S):
                    await self._is_due.wait()
            except TimeoutError:
                self._due.update(self._waiting)
            self._is_due.clear()
            due = self._due & self._waiting.keys()
            self._due.clear()
            if due:
                await self._select(due)

    # The outcome of a user that is hidden waits until it is shown.
    _SELECT: Final = f"""
    SELECT * FROM ({_OUTCOMES} WHERE event_id = ANY(%s)) AS outcomes WHERE is_shown
    """  # noqa: S608 - made of constants

    async def _select(self, event_ids: set[str]) -> None:
        try:
            rows = await self._database.select_projected(
                self._SELECT, (list(event_ids),), timeout_s=_SELECT_TIMEOUT_S
            )
        except StoreUnavailableError as error:
            _log.warning("outcomes cannot be read", error=str(error))
            return
        for row in rows:
            outcome = WriteOutcome(**row)
            for future in self._waiting.get(outcome.event_id, ()):
                if not future.done():
                    future.set_result(outcome)
