"""The error message for a log whose first records have been deleted."""

from __future__ import annotations

from typing import Final

CODE: Final = "LOG_TRUNCATED"


def truncated(topic: str, partition: int, begin: int) -> str:
    """Return a message that names the deleted records, the consequence, and the remedy."""
    return (
        f"{CODE}: topic {topic}, partition {partition} begins at offset {begin}: the records from"
        f" offset 0 to {begin - 1} are gone, so nothing can be made from the log again. The tables"
        " in use go on. Restore the topic from a copy, or keep these tables as the only record of"
        " what is gone."
    )
