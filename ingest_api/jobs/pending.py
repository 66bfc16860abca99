"""Counts the jobs that are not finished."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, LiteralString

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from ingest_api.event_log.ledger import LedgerJob

_FINISHED: Final[LiteralString] = """
SELECT job_id FROM public.jobs WHERE job_id = ANY(%(job_ids)s) AND finished_at IS NOT NULL
"""
_JOBS_AT_ONCE: Final = 100


async def count_pending(
    select: Callable[[LiteralString, Mapping[str, object]], Awaitable[list[dict[str, Any]]]],
    jobs: Sequence[LedgerJob],
) -> int:
    """Count the jobs that are not finished; ``jobs`` are in the order in which they finish.

    They may grow meanwhile: those count that are there when it is called.
    """
    count = len(jobs)
    for end in range(count, 0, -_JOBS_AT_ONCE):
        some = [job.accepted.job_id for job in jobs[max(end - _JOBS_AT_ONCE, 0) : end]]
        finished = {row["job_id"] for row in await select(_FINISHED, {"job_ids": some})}
        for nth, job_id in enumerate(reversed(some), start=count - end):
            if job_id in finished:
                return nth
    return count
