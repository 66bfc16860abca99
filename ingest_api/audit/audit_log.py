"""Adds acts and their results to the audit log, and lists and checks it.

An act that has no result was cut off: it may have been done or not.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from ingest_api.postgres.pool import Database, Snapshot
    from ingest_api.web.paging import Page

_MOST_CHARACTERS: Final = 300
_TIMEOUT_S: Final = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Act:
    """What an account is about to do; ``target`` is what it does it to, where its path says it."""

    account: str
    role: str | None
    kind: str
    target: str | None
    address: str
    request_id: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ActFilter:
    """Which acts are wanted; None where any will do. ``since`` counts in, ``until`` doesn't."""

    accounts: Sequence[str] | None = None
    kinds: Sequence[str] | None = None
    since: datetime | None = None
    until: datetime | None = None


class AuditLog:
    """The acts of an installation.

    Each raises `StoreUnavailableError` where Postgres doesn't answer.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    _BEGIN: Final = """
    INSERT INTO rollcall_api.audit (account, role, kind, target, address, request_id)
    VALUES (%s, %s, %s, %s, %s, %s) RETURNING id
    """

    async def begin(self, act: Act) -> int:
        """Add the act before it is done; return its number."""
        texts = (act.account, act.role, act.kind, act.target, act.address, act.request_id)
        added = await self._database.select(
            self._BEGIN, [storable(text) for text in texts], timeout_s=_TIMEOUT_S
        )
        return added[0]["id"]

    _END: Final = """
    INSERT INTO rollcall_api.audit (act_id, status, target, details)
    VALUES (%s, %s, %s, %s) RETURNING id
    """

    async def end(
        self, act_id: int, status: int, target: str | None, details: Mapping[str, str]
    ) -> None:
        """Add the act's result: the status of its answer, and what is known of it by now."""
        said = {name: storable(value) for name, value in details.items()}
        row = (act_id, status, storable(target), json.dumps(said))
        await self._database.select(self._END, row, timeout_s=_TIMEOUT_S)

    _FROM: Final = """
    FROM rollcall_api.audit AS begun
    LEFT JOIN rollcall_api.audit AS ended ON ended.act_id = begun.id
    WHERE begun.act_id IS NULL
      AND (%(accounts)s::text[] IS NULL OR begun.account = ANY(%(accounts)s))
      AND (%(kinds)s::text[] IS NULL OR begun.kind = ANY(%(kinds)s))
      AND (%(since)s::timestamptz IS NULL OR begun.recorded_at >= %(since)s)
      AND (%(until)s::timestamptz IS NULL OR begun.recorded_at < %(until)s)
    """
    _TOTAL: Final = f"SELECT count(*) AS total {_FROM}"
    _PAGE: Final = f"""
    SELECT begun.id, begun.recorded_at, begun.account, begun.role, begun.kind,
           coalesce(ended.target, begun.target) AS target, begun.address, begun.request_id,
           ended.status, coalesce(ended.details, '{{}}') AS details
    {_FROM}
    ORDER BY begun.id DESC LIMIT %(size)s OFFSET %(start)s
    """

    async def select_page(self, wanted: ActFilter, page: Page) -> tuple[int, list[dict[str, Any]]]:
        """Return the number of such acts, and a page of them, the newest first."""
        parameters = {
            "accounts": wanted.accounts,
            "kinds": wanted.kinds,
            "since": wanted.since,
            "until": wanted.until,
            "size": page.size,
            "start": page.start,
        }

        async def read(snapshot: Snapshot) -> tuple[int, list[dict[str, Any]]]:
            counted = await snapshot.select(self._TOTAL, parameters)
            return counted[0]["total"], await snapshot.select(self._PAGE, parameters)

        return await self._database.read(read)

    _CHECK: Final = """
    SELECT count(*) AS rows, (array_agg(encode(hash, 'hex') ORDER BY id DESC))[1] AS seal,
           min(id) FILTER (
               WHERE id <> number OR hash <> rollcall_api.audit_hash(previous, entry)
           ) AS broken_at
    FROM (
        SELECT id, hash, audit AS entry, row_number() OVER by_id AS number,
               lag(hash) OVER by_id AS previous
        FROM rollcall_api.audit WINDOW by_id AS (ORDER BY id)
    ) AS chained
    """

    async def check(self) -> dict[str, Any]:
        """Return how many rows there are, the first that is not as it was written, and the seal.

        The seal is the hash of the last row, and so of all.
        """
        return (await self._database.select(self._CHECK))[0]


def storable(text: str | None) -> str | None:
    """Return the text as Postgres takes it, and not longer than anybody reads."""
    return None if text is None else text.replace("\0", "�")[:_MOST_CHARACTERS]
