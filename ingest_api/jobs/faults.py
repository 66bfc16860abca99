"""All that is wrong with rejected lines: of each, and how often in a job."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, LiteralString

from ingest_api.jobs.file_columns import FileColumns
from ingest_api.openapi.response_types import FaultCount, LineFault
from schemas.rules.rejections import faults_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from ingest_api.web.dates import Row
    from schemas.events import JobAccepted

    _Select = Callable[[LiteralString, Mapping[str, object]], Awaitable[list[Row]]]

_MOST_COUNTS: Final = 100
_SELECT_COUNTS: Final = """
SELECT code, "column", count(*) AS count
FROM (
    SELECT code, "column" FROM public.rejections WHERE job_id = %(job_id)s
    UNION ALL
    SELECT fault ->> 'code', fault ->> 'column'
    FROM public.rejections, json_array_elements(further_faults) AS fault
    WHERE job_id = %(job_id)s AND further_faults IS NOT NULL
) AS faults
GROUP BY code, "column"
ORDER BY count(*) DESC, code, "column"
LIMIT %(most)s
"""


async def select_fault_counts(select: _Select, accepted: JobAccepted) -> list[FaultCount]:
    """Return for how many lines of the job each thing is wrong, the most frequent first."""
    rows = await select(_SELECT_COUNTS, {"job_id": accepted.job_id, "most": _MOST_COUNTS})
    name = FileColumns(accepted).name
    return [
        FaultCount(code=row["code"], column=name(row["code"], row["column"]), count=row["count"])
        for row in rows
    ]


def line_faults(row: Row) -> list[LineFault]:
    """Return all that is wrong with a rejected line; ``row`` has the columns of the table."""
    first = LineFault(
        column=row["column"], code=row["code"], reason=row["reason"], value=row["value"]
    )
    return [first, *shown_faults(row.get("further_faults"))]


def shown_faults(text: str | None) -> list[LineFault]:
    """Return the faults of a text of them, as answers show them."""
    return [
        LineFault(column=fault.column, code=fault.code, reason=fault.reason, value=fault.value)
        for fault in faults_of(text)
    ]
