"""Detect that accepted jobs stall: nothing moves that they wait for.

Pure: times and positions are arguments.
"""

from __future__ import annotations

from typing import Final

PATIENCE_S: Final = 120.0
"""A job may wait so long while nothing is published and nothing is applied."""


class StallDetector:
    """Detects a publisher or processors that hang or are missing, by positions that stand still."""

    def __init__(self, patience_s: float = PATIENCE_S) -> None:
        self._patience_s = patience_s
        self._seen: tuple[int, tuple[int, ...]] | None = None
        self._since_s = 0.0

    def reason(
        self, now_s: float, open_job_id: int | None, positions: tuple[int, ...]
    ) -> str | None:
        """Return why the last accepted job makes no progress, or None where it does.

        ``open_job_id`` is that job where it has not ended; ``positions`` are those that move
        while it is published or applied.
        """
        if open_job_id is None:
            self._seen = None
            return None
        if self._seen != (open_job_id, positions):
            self._seen, self._since_s = (open_job_id, positions), now_s
            return None
        stands_s = now_s - self._since_s
        if stands_s < self._patience_s:
            return None
        return (
            f"Jobs wait, and for {stands_s:.0f} s nothing has been published or applied: look at"
            " the logs of the publisher and the processors."
        )
