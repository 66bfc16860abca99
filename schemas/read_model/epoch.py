"""PostgreSQL counts days and microseconds from 2000-01-01 on, Arrow from 1970-01-01 on."""

from __future__ import annotations

from typing import Final

DAYS: Final = 10_957
MICROSECONDS: Final = DAYS * 86_400_000_000
"""Between the two, as DAYS; both know no leap seconds."""
