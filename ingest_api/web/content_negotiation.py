"""Content negotiation: the media type that a request prefers (RFC 9110, 12.5.1)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

CSV: Final = "text/csv"
NDJSON: Final = "application/x-ndjson"
PARQUET: Final = "application/vnd.apache.parquet"
CONTENT_TYPES: Final = {
    CSV: f"{CSV}; charset=utf-8; header=present",
    NDJSON: NDJSON,
    PARQUET: PARQUET,
}
"""What ``Content-Type`` says of a file of this media type."""
_NAME: Final = r"[!#$%&'*+.^_`|~\w-]+"
_RANGE: Final = re.compile(rf"\s*({_NAME}/{_NAME})\s*(;.*)?", re.ASCII)
_QUALITY: Final = re.compile(r";\s*[qQ]\s*=\s*(0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?)\s*(?=;|$)")


def preferred(accept: Sequence[str], offered: Sequence[str]) -> str | None:
    """Return the offered type that these ``Accept`` headers prefer, the first of equals.

    Without a valid header it is the first offered; None where none of them is acceptable.
    """
    qualities = _qualities(",".join(accept))
    if not qualities:
        return offered[0]
    best = max(offered, key=lambda media_type: _quality(media_type, qualities))
    return best if _quality(best, qualities) > 0 else None


def _qualities(accept: str) -> dict[str, float]:
    """Return the quality of each media range; what is malformed is skipped."""
    found: dict[str, float] = {}
    for part in accept.split(","):
        media_range = _RANGE.fullmatch(part)
        if media_range:
            quality = _QUALITY.search(media_range[2] or "")
            found[media_range[1].lower()] = float(quality[1]) if quality else 1.0
    return found


def _quality(media_type: str, qualities: Mapping[str, float]) -> float:
    """Return the quality of the most specific range that matches the type; 0 if none does."""
    kind = media_type.partition("/")[0]
    ranges = (media_type, f"{kind}/*", "*/*")
    return next((qualities[each] for each in ranges if each in qualities), 0.0)
