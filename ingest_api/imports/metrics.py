"""Metrics of uploads."""

from __future__ import annotations

from typing import Final

from prometheus_client import Counter

ACCEPTED_LINES: Final = Counter(
    "rollcall_accepted_lines", "Lines of accepted uploads, the rejected ones too.", ["mode"]
)
REJECTED_LINES: Final = Counter(
    "rollcall_rejected_lines", "Lines of accepted uploads that the file alone rejects.", ["mode"]
)
