"""Delivers notices: each until it is taken, or the schedule of Standard Webhooks ends.

Who delivers holds the row's lock meanwhile, so no other process delivers the same, and a process
that is killed frees it with its connection: then it is delivered once more, under the same id.
"""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote

import structlog

from ingest_api.errors import StoreUnavailableError
from ingest_api.notices import mail
from ingest_api.notices.events import Notice
from ingest_api.notices.http_post import Answer, post
from ingest_api.notices.metrics import DELIVERIES, WAITING

if TYPE_CHECKING:
    from ingest_api.notices.settings import NoticeSettings
    from ingest_api.postgres.pool import Database

PAUSES_S: Final = (5, 300, 1800, 7200, 18_000, 36_000, 50_400, 72_000, 86_400)
"""After the first try; as Standard Webhooks proposes it."""
_AT_ONCE: Final = 4
_EVERY_S: Final = 1.0
_OUTAGE_S: Final = 3.0
_SESSION_S: Final = 30.0
_MAIL_S: Final = 25.0
"""Less than the session, so that the try is noted."""
_SWEEP_EVERY: Final = 3600
_NO_MAIL: Final = "no mail is sent: ROLLCALL_SMTP_URL is not set"
_log = structlog.stdlib.get_logger("rollcall.api")


class Sender:
    """Delivers what is due, for one API process."""

    def __init__(self, database: Database, settings: NoticeSettings) -> None:
        self._database = database
        self._settings = settings
        # Its own: a mail server that hangs holds up no other work of the process.
        self._mailing = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="mail")

    _WAITING: Final = """
    SELECT count(*) AS waiting, count(*) FILTER (WHERE due_at <= now()) AS due
    FROM rollcall_api.delivery WHERE due_at IS NOT NULL
    """
    _SWEEP: Final = """
    DELETE FROM rollcall_api.notice
    WHERE created_at < now() - interval '30 days' AND NOT EXISTS (
        SELECT FROM rollcall_api.delivery WHERE notice_id = notice.id AND due_at IS NOT NULL)
    RETURNING id
    """

    async def run(self) -> None:
        """Deliver until cancelled; while Postgres is away nothing is lost."""
        turns = 0
        while True:
            try:
                if turns % _SWEEP_EVERY == 0:
                    await self._database.select(self._SWEEP)
                counted = (await self._database.select(self._WAITING))[0]
                WAITING.set(counted["waiting"])
                due = min(counted["due"], _AT_ONCE)
                await asyncio.gather(*(self._deliver_next() for _ in range(due)))
            except StoreUnavailableError:
                due = 0
                await asyncio.sleep(_OUTAGE_S)
            turns += 1
            if not due:
                await asyncio.sleep(_EVERY_S)

    # What has failed before stands back behind what is tried for the first time, and so does all
    # that is for a receiver who did not take it: one who never answers holds up nobody else.
    _CLAIM: Final = """
    SELECT delivery.id, attempts, url, secret, webhook_id, notice_id, type, body
    FROM rollcall_api.delivery
    JOIN rollcall_api.webhook ON webhook.id = webhook_id
    JOIN rollcall_api.notice ON notice.id = notice_id
    WHERE due_at <= now()
    ORDER BY webhook_id IN (
        SELECT webhook_id FROM rollcall_api.delivery WHERE due_at IS NOT NULL AND attempts > 0
    ), attempts, due_at
    LIMIT 1 FOR UPDATE OF delivery SKIP LOCKED
    """
    _NOTE: Final = """
    UPDATE rollcall_api.delivery
    SET attempts = attempts + 1, tried_at = now(), status = %(status)s, answer = %(answer)s,
        delivered_at = CASE WHEN %(is_taken)s THEN now() ELSE delivered_at END,
        due_at = now() + make_interval(secs => %(pause_s)s)
    WHERE id = %(id)s
    """
    _GIVE_UP: Final = "UPDATE rollcall_api.webhook SET is_active = false WHERE id = %s"

    async def _deliver_next(self) -> None:
        async with self._database.session(_SESSION_S) as connection:
            row = await (await connection.execute(self._CLAIM)).fetchone()
            if row is None:
                return
            answer = await self._try(row)
            is_over = answer.is_taken or answer.is_gone or row["attempts"] >= len(PAUSES_S)
            noted: dict[str, object] = {
                "id": row["id"],
                "status": answer.status,
                "answer": answer.text,
                "is_taken": answer.is_taken,
                "pause_s": None if is_over else PAUSES_S[row["attempts"]],
            }
            await connection.execute(self._NOTE, noted)
            if answer.is_gone:
                await connection.execute(self._GIVE_UP, (row["webhook_id"],))

    async def _try(self, row: dict[str, Any]) -> Answer:
        way = "mail" if row["url"].startswith(mail.MAILTO) else "webhook"
        try:
            answer = await self._send(way, row)
        except Exception as error:  # noqa: BLE001 - it would end each process that tries, for ever
            _log.exception("notice can't be sent", notice=row["notice_id"])
            answer = Answer(is_taken=False, status=None, text=f"{type(error).__name__}: {error}")
        DELIVERIES.labels(way, "taken" if answer.is_taken else "failed").inc()
        if not answer.is_taken:
            _log.warning(
                "notice not delivered",
                notice=row["notice_id"],
                webhook_id=str(row["webhook_id"]),
                attempt=row["attempts"] + 1,
                status=answer.status,
            )
        return answer

    async def _send(self, way: str, row: dict[str, Any]) -> Answer:
        notice = Notice(row["notice_id"], row["type"], row["body"])
        if way == "mail":
            return await self._mail(unquote(row["url"].removeprefix(mail.MAILTO)), notice)
        allows_private = self._settings.webhooks_allow_private == "yes"
        return await post(row["url"], row["secret"], notice, allows_private=allows_private)

    async def _mail(self, receiver: str, notice: Notice) -> Answer:
        url, sender = self._settings.smtp_url, self._settings.smtp_sender
        if not url:
            return Answer(is_taken=False, status=None, text=_NO_MAIL)
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(_MAIL_S):
                return await loop.run_in_executor(
                    self._mailing, mail.send, url, sender, receiver, notice
                )
        except TimeoutError:
            return Answer(is_taken=False, status=None, text=f"not taken within {_MAIL_S:.0f} s")
