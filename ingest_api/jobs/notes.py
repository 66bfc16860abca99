"""Queries of the notes of jobs: cells that were not taken as they stood, though their lines count.

Of a job that is undone there are none: what it met is not known any more.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final

from ingest_api.openapi.response_types import JobNote, JobNotes

if TYPE_CHECKING:
    from ingest_api.postgres.pool import Database, Snapshot
    from ingest_api.web.paging import Page

_SELECT_TOTAL: Final = "SELECT count(*) AS total FROM public.notes WHERE job_id = %(job_id)s"
_SELECT_PAGE: Final = """
SELECT line, "column", code, reason, value
FROM public.notes
WHERE job_id = %(job_id)s
ORDER BY record_number, "column", code
LIMIT %(page_size)s OFFSET %(start)s
"""


async def select_notes(database: Database, job_id: int, page: Page) -> JobNotes:
    """Return a page of the notes of a job so far, in the file's order."""
    return await database.read(partial(_page, job_id=job_id, page=page))


async def _page(snapshot: Snapshot, *, job_id: int, page: Page) -> JobNotes:
    parameters = {"job_id": job_id, "page_size": page.size, "start": page.start}
    counted = await snapshot.select(_SELECT_TOTAL, parameters)
    rows = await snapshot.select(_SELECT_PAGE, parameters)
    return JobNotes(
        total=counted[0]["total"] if counted else 0, notes=[JobNote(**row) for row in rows]
    )
