"""Makes a notice where a component has not worked for a minute, and where it works again."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Final, LiteralString

from ingest_api.errors import StoreUnavailableError
from ingest_api.notices.events import of_alarm
from ingest_api.notices.store import add_notice

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from ingest_api.postgres.pool import Database

    Reasons = Callable[[], Awaitable[Mapping[str, Sequence[str]]]]

_EVERY_S: Final = 5.0
PATIENCE_S: Final = 60.0
"""A component may fail so long before anybody is told."""


class Alarms:
    """The alarms of one API process; of several that see the same, one makes the notice."""

    def __init__(self, database: Database, reasons: Reasons, *, public_url: str) -> None:
        self._database = database
        self._reasons = reasons
        self._public_url = public_url
        self._since_s: dict[str, float] = {}
        self._raised = set[str]()

    async def run(self) -> None:
        """Look at the components until cancelled; while Postgres is away nobody can be told."""
        while True:
            try:
                for component, reasons in (await self._reasons()).items():
                    await self.see(component, reasons, time.monotonic())
            except StoreUnavailableError:
                pass
            await asyncio.sleep(_EVERY_S)

    async def see(self, component: str, reasons: Sequence[str], now_s: float) -> None:
        """Take note of how the component is now, and make a notice where that is one.

        Raises:
            StoreUnavailableError: it could not be made; the next look tries again.
        """
        if not reasons:
            self._since_s.pop(component, None)
            self._raised.discard(component)
            await self._tell(self._CLEAR, component, reasons)
            return
        lasts_s = now_s - self._since_s.setdefault(component, now_s)
        # Once in each of its own troubles: another process may be well, and clears it.
        if lasts_s >= PATIENCE_S and component not in self._raised:
            await self._tell(self._RAISE, component, reasons)
            self._raised.add(component)

    _RAISE: Final = """
    INSERT INTO rollcall_api.noticed_alarm (component, raised_at) VALUES (%s, now())
    ON CONFLICT (component) DO NOTHING RETURNING component
    """
    _CLEAR: Final = (
        "DELETE FROM rollcall_api.noticed_alarm WHERE component = %s RETURNING component"
    )

    async def _tell(self, change: LiteralString, component: str, reasons: Sequence[str]) -> None:
        async with self._database.transaction() as connection:
            if await (await connection.execute(change, (component,))).fetchone():
                await add_notice(connection, of_alarm(component, reasons, self._public_url), None)
