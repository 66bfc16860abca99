"""What is said of a log whose beginning is gone, by whoever needs all of it."""

from __future__ import annotations

from typing import Final

CODE: Final = "LOG_TRUNCATED"


def truncated(topic: str, partition: int, begin: int) -> str:
    """Which records are gone, what that means, and the way out; ``begin`` is above 0."""
    return (
        f"{CODE}: topic {topic}, partition {partition} begins at offset {begin}: the records from"
        f" offset 0 to {begin - 1} are gone, so nothing can be made from the log again. The tables"
        " in use go on. Restore the topic from a copy, or keep these tables as the only record of"
        " what is gone."
    )
