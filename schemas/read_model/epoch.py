"""The distance of PostgreSQL's epoch, 2000-01-01, from Arrow's, 1970-01-01."""

from __future__ import annotations

from typing import Final

DAYS: Final = 10_957
MICROSECONDS: Final = DAYS * 86_400_000_000
"""The same as DAYS; neither counts leap seconds."""
