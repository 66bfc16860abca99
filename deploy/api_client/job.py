"""Follows a job's progress until it has ended."""

import json
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Self

from deploy.api_client.client import ApiClient, ApiError, path_of
from deploy.api_client.retry import RetryPolicy, is_passing, with_retries
from schemas.log.job_states import COUNTS_AND_NOTES, ENDED_STATES

_POLL_S = 0.2
_UNREACHABLE_S = 60.0
"""So long an API that does not respond is retried; it may be restarting."""


@dataclass(frozen=True, slots=True)
class JobCounts:
    """A job's progress: the outcomes add up to `total` once it has ended.

    `deleted` counts the users that it removed; lines only where each deletes one.  `notes` counts
    cells that were not taken as they stood.
    """

    state: str
    total: int
    inserted: int
    updated: int
    unchanged: int
    rejected: int
    deleted: int = 0
    notes: int = 0

    @classmethod
    def of(cls, status: Mapping[str, Any]) -> Self:
        """Return the counts in a job's status."""
        numbers = (int(status.get(name) or 0) for name in ("total", *COUNTS_AND_NOTES))
        return cls(str(status["state"]), *numbers)

    @property
    def done(self) -> int:
        """The number of lines that have an outcome; deleted is one of a file of keys."""
        outcomes = self.inserted + self.updated + self.unchanged + self.rejected
        return min(self.total, outcomes + self.deleted)

    @property
    def has_ended(self) -> bool:
        """True once no line waits for its outcome, or for its undo."""
        return self.state in ENDED_STATES


def _has_ended(counts: JobCounts) -> bool:
    return counts.has_ended


def follow(
    client: ApiClient,
    job_id: str,
    is_last: Callable[[JobCounts], bool] = _has_ended,
    *,
    date_format: str | None = None,
) -> Iterator[dict[str, Any]]:
    """Yield the job's status at each change, until the one with which it has ended.

    They come as server-sent events, or are asked for where the server sends none; dates are as
    ``date_format``, the API's `dateFormat`, has them.

    Raises:
        ApiError: There is no such job, or the API could not be reached for a minute.
    """
    for status in _statuses(client, job_id, {"dateFormat": date_format}):
        yield status
        if is_last(JobCounts.of(status)):
            return


def _statuses(
    client: ApiClient, job_id: str, query: Mapping[str, str | None]
) -> Iterator[dict[str, Any]]:
    sends_events = True
    place = path_of("batchinfo", "status", job_id)
    policy = RetryPolicy(for_s=_UNREACHABLE_S, longest_delay_s=1.0)
    while True:
        yield with_retries(lambda: client.get(place, query), policy)
        if sends_events:
            try:
                yield from map(json.loads, client.events(f"{place}/events", query))
            except ApiError as error:
                sends_events = is_passing(error)
        time.sleep(_POLL_S)
