"""Decides which requests are retried, and when."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from deploy.api_client.client import ApiError, RefusedError, UnreachableError
from schemas.clients.backoff import Backoff

_PASSING = frozenset({429, 502, 503, 504})
"""Status codes after which the same request may succeed: rate limits, services not available."""
_FIRST_DELAY_S = 0.5

_Answer = TypeVar("_Answer")


def _report_nothing(_error: ApiError, _delay_s: float) -> None:
    return


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """The time for which a request is retried; delays double up to the longest."""

    for_s: float
    longest_delay_s: float = 15.0
    report: Callable[[ApiError, float], object] = _report_nothing
    """Called before each retry, with what went wrong and the seconds until then."""

    def delay_s(self, error: ApiError, *, attempt: int, elapsed_s: float) -> float | None:
        """Return the seconds to wait after this failed attempt (from 1); None after the last."""
        if not is_passing(error):
            return None
        asked_s = (error.retry_after_s or 0.0) if isinstance(error, RefusedError) else 0.0
        backoff = Backoff(first_s=_FIRST_DELAY_S, longest_s=self.longest_delay_s)
        delay_s = max(asked_s, backoff.pause_s(attempt))
        return delay_s if elapsed_s + delay_s <= self.for_s else None


def is_passing(error: ApiError) -> bool:
    """Return whether the same request may succeed later."""
    if isinstance(error, RefusedError):
        return error.status in _PASSING
    return isinstance(error, UnreachableError)


def with_retries(action: Callable[[], _Answer], policy: RetryPolicy) -> _Answer:
    """Retry the action, which must be idempotent, and return its result.

    Raises:
        ApiError: It failed for good, or for as long as the policy allows.
    """
    begin_s = time.monotonic()
    attempt = 1
    while True:
        try:
            return action()
        except ApiError as error:
            elapsed_s = time.monotonic() - begin_s
            delay_s = policy.delay_s(error, attempt=attempt, elapsed_s=elapsed_s)
            if delay_s is None:
                raise
            policy.report(error, delay_s)
        time.sleep(delay_s)
        attempt += 1
