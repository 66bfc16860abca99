"""Wire notices: the routes of webhooks, and what runs beside them."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from ingest_api.notices.alarms import Alarms
from ingest_api.notices.job_ends import JobEnds
from ingest_api.notices.routes import add_webhook_routes
from ingest_api.notices.sender import Sender
from ingest_api.notices.store import NoticeStore

if TYPE_CHECKING:
    from sanic import Blueprint

    from ingest_api.app.application import Parts


def add_notice_routes(api: Blueprint, parts: Parts) -> None:
    """Add the routes."""
    add_webhook_routes(api, NoticeStore(parts.database), parts.settings.notices)


async def run_notices(parts: Parts) -> None:
    """Make and deliver notices until cancelled; begins once topics and tables are there."""
    await parts.startup.is_done.wait()
    settings, shared = parts.settings.notices, parts.settings.shared
    public_url, database = settings.public_url, parts.database
    ends = JobEnds(database, parts.job_log, parts.job_reader, public_url=public_url)
    await asyncio.gather(
        ends.run(shared.kafka, shared.topics.job_status),
        Alarms(database, parts.readiness.reasons, public_url=public_url).run(),
        Sender(database, settings).run(),
    )
