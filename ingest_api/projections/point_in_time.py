"""Points in time at which the audience is read: a time, the end of a job, or now.

As of a job: after its last record in each partition, with what was undone before.
As of a time: all that was in the log before it, with what was undone before it.
The processor's builder turns either into offsets; jobs are in the order of their
acceptance, so what comes after a job in that order is not seen.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from ingest_api.errors import UnknownJobError, invalid_parameter
from ingest_api.web.dates import parsed_time
from ingest_api.web.parameters import whole_number

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

NOW_TEXT: Final = "now"
_FORMS: Final = (
    "{name} is the id of a job, or a time such as 2016-06-28T05:49:23Z or 06/28/2016 05:49:23 AM"
    " GMT{or_now}."
)


@dataclass(frozen=True, slots=True)
class Point:
    """A point in time: as of a job, as of a time, or now where neither is set."""

    job_id: int | None = None
    time: datetime | None = None

    @property
    def is_now(self) -> bool:
        """True where the audience is meant as it is, not as it was."""
        return self.job_id is None and self.time is None

    def __str__(self) -> str:
        """Return it as answers show it: the job's id, the time in UTC, or ``now``."""
        if self.job_id is not None:
            return str(self.job_id)
        return NOW_TEXT if self.time is None else self.time.isoformat().replace("+00:00", "Z")

    @property
    def words(self) -> str:
        """As sentences call it."""
        return f"job {self}" if self.job_id is not None else str(self)


NOW: Final = Point()


def read_point(
    name: str, values: Sequence[str], *, now: datetime, allows_now: bool = False
) -> Point:
    """Parse the parameter with this name as a point in time.

    Raises:
        InvalidRequestError: it is repeated, none, or in the future; there is no job of such an id.
    """
    if len(values) != 1:
        raise invalid_parameter(name, f"{name} is given {len(values)} times.")
    text = values[0].strip()
    if text == NOW_TEXT and allows_now:
        return NOW
    if text.isascii() and text.isdigit():
        return _job(text)
    time = parsed_time(text)
    if time is None:
        or_now = ", or now" if allows_now else ""
        raise invalid_parameter(name, _FORMS.format(name=name, or_now=or_now))
    if time > now:
        raise invalid_parameter(name, f"{name} is in the future: it is {Point(time=now)} now.")
    return Point(time=time)


def _job(text: str) -> Point:
    number = whole_number(text)
    if number is None:
        raise UnknownJobError
    return Point(job_id=number)
