"""Webhooks, notices and their deliveries in Postgres."""

from __future__ import annotations

import base64
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from ingest_api.errors import ConflictError, NotFoundError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ingest_api.notices.events import Notice
    from ingest_api.postgres.pool import Connection, Database, Snapshot
    from ingest_api.web.paging import Page
    from ingest_api.web.roles import Account

UNKNOWN_WEBHOOK: Final = "There is no webhook with this ID"
UNKNOWN_DELIVERY: Final = "There is no delivery with this ID"
_SECRET_BYTES: Final = 32
_MOST_WEBHOOKS: Final = 50
TOO_MANY_WEBHOOKS: Final = (
    f"This account has {_MOST_WEBHOOKS} webhooks, the most that one may: delete one."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookChange:
    """What is to change of a webhook; None is left as it is."""

    events: Sequence[str] | None = None
    own_jobs: bool | None = None
    is_active: bool | None = None


class NoticeStore:
    """The tables; each method raises `StoreUnavailableError` where Postgres doesn't answer.

    An account sees and changes its own webhooks only, an administrator all.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    _ADD: Final = """
    INSERT INTO rollcall_api.webhook (owner, url, secret, events, own_jobs)
    SELECT %(owner)s, %(url)s, %(secret)s, %(events)s, %(own_jobs)s
    WHERE (SELECT count(*) FROM rollcall_api.webhook WHERE owner = %(owner)s) < %(most)s
    RETURNING *
    """

    async def add(
        self, owner: str, url: str, events: Sequence[str], *, own_jobs: bool
    ) -> dict[str, Any]:
        """Make a webhook with a new secret; return its row.

        Raises:
            ConflictError: the account has as many as it may.
        """
        values: dict[str, object] = {
            "owner": owner,
            "url": url,
            "secret": f"whsec_{base64.b64encode(secrets.token_bytes(_SECRET_BYTES)).decode()}",
            "events": list(events),
            "own_jobs": own_jobs,
            "most": _MOST_WEBHOOKS,
        }
        rows = await self._database.select(self._ADD, values)
        if not rows:
            raise ConflictError(TOO_MANY_WEBHOOKS)
        return rows[0]

    _MINE: Final = "FROM rollcall_api.webhook WHERE (%(all)s OR owner = %(owner)s)"
    _PAGE: Final = f"SELECT * {_MINE} ORDER BY id LIMIT %(size)s OFFSET %(start)s"
    _TOTAL: Final = f"SELECT count(*) AS total {_MINE}"

    async def select_page(self, account: Account, page: Page) -> tuple[int, list[dict[str, Any]]]:
        """Return the number of the account's webhooks, and a page of them, the oldest first."""
        parameters = _of(account) | {"size": page.size, "start": page.start}

        async def read(snapshot: Snapshot) -> tuple[int, list[dict[str, Any]]]:
            counted = await snapshot.select(self._TOTAL, parameters)
            return counted[0]["total"], await snapshot.select(self._PAGE, parameters)

        return await self._database.read(read)

    _CHANGE: Final = """
    UPDATE rollcall_api.webhook
    SET events = coalesce(%(events)s, events), own_jobs = coalesce(%(own_jobs)s, own_jobs),
        is_active = coalesce(%(is_active)s, is_active)
    WHERE (%(all)s OR owner = %(owner)s) AND id = %(id)s RETURNING *
    """

    async def change(self, account: Account, number: int, change: WebhookChange) -> dict[str, Any]:
        """Change the webhook, and return its row.

        Raises:
            NotFoundError: the account has none of this number.
        """
        values = {
            "events": None if change.events is None else list(change.events),
            "own_jobs": change.own_jobs,
            "is_active": change.is_active,
        }
        return await self._one(self._CHANGE, account, number, **values)

    _DELETE: Final = f"DELETE {_MINE} AND id = %(id)s RETURNING *"

    async def delete(self, account: Account, number: int) -> None:
        """Delete the webhook, with what is still to be delivered to it.

        Raises:
            NotFoundError: the account has none of this number.
        """
        await self._one(self._DELETE, account, number)

    _FETCH: Final = f"SELECT * {_MINE} AND id = %(id)s"

    async def _one(
        self, query: Any, account: Account, number: int, **values: object
    ) -> dict[str, Any]:
        rows = await self._database.select(query, _of(account) | {"id": number} | values)
        if not rows:
            raise NotFoundError(UNKNOWN_WEBHOOK)
        return rows[0]

    _DELIVERIES: Final = """
    SELECT delivery.*, notice.type, notice.created_at
    FROM rollcall_api.delivery JOIN rollcall_api.notice ON notice.id = notice_id
    WHERE webhook_id = %s ORDER BY delivery.id DESC LIMIT %s OFFSET %s
    """
    _DELIVERIES_TOTAL: Final = """
    SELECT count(*) AS total FROM rollcall_api.delivery WHERE webhook_id = %s
    """

    async def select_deliveries(
        self, account: Account, number: int, page: Page
    ) -> tuple[int, list[dict[str, Any]]]:
        """Return the number of deliveries to the webhook, and a page of them, the newest first.

        Raises:
            NotFoundError: the account has none of this number.
        """
        await self._one(self._FETCH, account, number)
        counted = await self._database.select(self._DELIVERIES_TOTAL, (number,))
        parameters = (number, page.size, page.start)
        return counted[0]["total"], await self._database.select(self._DELIVERIES, parameters)

    _AGAIN: Final = """
    UPDATE rollcall_api.delivery SET due_at = now(), attempts = 0
    WHERE id = %s AND webhook_id = %s RETURNING id
    """

    async def redeliver(self, account: Account, number: int, delivery: int) -> None:
        """Have the delivery made once more, at once.

        Raises:
            NotFoundError: the account has no such webhook, or that no such delivery.
        """
        await self._one(self._FETCH, account, number)
        if not await self._database.select(self._AGAIN, (delivery, number)):
            raise NotFoundError(UNKNOWN_DELIVERY)

    _TO_ONE: Final = """
    INSERT INTO rollcall_api.delivery (webhook_id, notice_id) VALUES (%s, %s) RETURNING id
    """

    async def deliver_to(self, account: Account, number: int, notice: Notice) -> int:
        """Have a notice delivered to one webhook, whatever it has chosen; return the delivery.

        Raises:
            NotFoundError: the account has none of this number.
        """
        await self._one(self._FETCH, account, number)
        async with self._database.transaction() as connection:
            await connection.execute(_ADD_NOTICE, (notice.id, notice.type, notice.body))
            row = await (await connection.execute(self._TO_ONE, (number, notice.id))).fetchone()
        assert row is not None, "it was inserted"
        return row["id"]


_ADD_NOTICE: Final = "INSERT INTO rollcall_api.notice (id, type, body) VALUES (%s, %s, %s)"
_TO_ALL: Final = """
INSERT INTO rollcall_api.delivery (webhook_id, notice_id)
SELECT id, %(notice)s FROM rollcall_api.webhook
WHERE is_active AND %(type)s = ANY(events) AND (NOT own_jobs OR owner = coalesce(%(by)s, owner))
"""


async def add_notice(connection: Connection, notice: Notice, by: str | None) -> None:
    """Add the notice to all who want it, in the caller's transaction; ``by``: whose job it is of.

    Alarms are nobody's, so they reach also those who want to hear of their own jobs only.
    """
    await connection.execute(_ADD_NOTICE, (notice.id, notice.type, notice.body))
    parameters = {"notice": notice.id, "type": notice.type, "by": by}
    await connection.execute(_TO_ALL, parameters)


def _of(account: Account) -> dict[str, object]:
    return {"owner": account.name, "all": account.may("admin")}
