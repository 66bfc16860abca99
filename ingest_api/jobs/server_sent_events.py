"""Sends the status of a job as server-sent events (HTML Standard, 9.2)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ingest_api.jobs.views import job_status
from ingest_api.web.encoding import encoded
from schemas.log.job_states import REVERTED_STATES

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from ingest_api.jobs.views import JobView

_RETRY_MS: Final = 2000
_HEARTBEAT: Final = b": still there\n\n"


def event_id(view: JobView) -> str:
    """Return what a client that comes again sends back as its ``Last-Event-ID``.

    That a job is reverted, and that this failed, changes no version, so it is added.
    """
    parts = [str(view.version), *([view.state] if view.state in REVERTED_STATES else ())]
    if view.undo_try is not None:
        parts.append("tried" if view.undo_try.next_try_at is None else "failed")
        parts.append(str(view.undo_try.failures))
    return ".".join(parts)


async def event_texts(
    views: AsyncGenerator[JobView | None], last_event_id: str | None
) -> AsyncGenerator[bytes]:
    """Yield an event for each view, a comment for each None; the first tells when to come again.

    The view that the client has seen already is left out where it comes first.
    """
    try:
        yield f"retry: {_RETRY_MS}\n\n".encode()
        async for view in views:
            if view is None:
                yield _HEARTBEAT
            elif event_id(view) != last_event_id:
                last_event_id = None
                data = encoded(job_status(view))
                yield b"id: %b\ndata: %b\n\n" % (event_id(view).encode(), data)
    finally:
        await views.aclose()
