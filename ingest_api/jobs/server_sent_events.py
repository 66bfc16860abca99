"""The status of a job as server-sent events (HTML Standard, 9.2)."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from ingest_api.jobs.statuses import JobView

_RETRY_MS: Final = 2000
_HEARTBEAT: Final = b": still there\n\n"


def event_id(view: JobView) -> str:
    """What a client that comes again has seen, in its ``Last-Event-ID``.

    That a job is reverted, and that this failed, changes no version, so it is said besides.
    """
    state, failure = view.status["state"], view.status["undoFailure"]
    is_reverted = state in {"REVERTING", "REVERTED"}
    said = [str(view.version), *([state] if is_reverted else ())]
    if failure is not None:
        is_tried = "tried" if failure["nextTryDate"] is None else "failed"
        said += [is_tried, str(failure["failures"])]
    return ".".join(said)


async def event_texts(
    views: AsyncGenerator[JobView | None], last_event_id: str | None
) -> AsyncGenerator[bytes]:
    """An event for each view, a comment for each None; the first tells when to come again.

    The view that the client has seen already is left out where it comes first.
    """
    try:
        yield f"retry: {_RETRY_MS}\n\n".encode()
        async for view in views:
            if view is None:
                yield _HEARTBEAT
            elif event_id(view) != last_event_id:
                last_event_id = None
                data = json.dumps(view.status, ensure_ascii=False, separators=(",", ":"))
                yield f"id: {event_id(view)}\ndata: {data}\n\n".encode()
    finally:
        await views.aclose()
