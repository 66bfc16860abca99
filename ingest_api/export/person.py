"""All that is stored of one person: the user, its history, rejected lines, and their jobs.

For whoever must say what is known of somebody (GDPR, article 15).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, LiteralString

from ingest_api.attributes.queries import select_attributes
from ingest_api.errors import UnknownUserError, invalid_parameter
from ingest_api.jobs import views
from ingest_api.openapi.response_types import Person, PersonRejection
from ingest_api.users.filters import UserFilter

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ingest_api.event_log.job_events import JobLog
    from ingest_api.jobs.statuses import JobReader
    from ingest_api.openapi.response_types import EntryShown, JobStatus
    from ingest_api.postgres.pool import Database
    from ingest_api.users.history import UserHistory
    from ingest_api.users.queries import UserReader
    from schemas.events import AttributeType

_HISTORY_PAGE: Final = 1000
_SELECT_ID: Final[LiteralString] = "SELECT id FROM public.users WHERE key = %s"
_AT_ONCE: Final = 100_000
"""Of rejected lines, so many are searched by one statement, however many there are."""
SELECT_END: Final[LiteralString] = """
SELECT job_id, record_number FROM public.rejections
WHERE (job_id, record_number) > (%(job_id)s, %(record_number)s)
ORDER BY job_id, record_number OFFSET %(at_once)s LIMIT 1
"""
# What a line held before it was cut off, or spelt otherwise, is not found.
SELECT_REJECTED: Final[LiteralString] = """
SELECT job_id, line, "column", code, reason, raw, bytes
FROM (
    SELECT job_id, record_number, line, "column", code, reason, raw,
           sum(octet_length(raw)) OVER (ORDER BY job_id, record_number) AS bytes
    FROM public.rejections
    WHERE (job_id, record_number) > (%(job_id)s, %(record_number)s)
      AND (job_id, record_number) <= (%(last_job_id)s, %(last_record_number)s)
      AND strpos(lower(raw), lower(%(key)s)) > 0
) AS holding
WHERE bytes - octet_length(raw) <= %(most_bytes)s
ORDER BY job_id, record_number
"""
_MOST_BYTES: Final = 4_000_000
"""Of rejected lines in one answer: tens of thousands; a part of a key may be in millions."""
_TOO_MANY: Final = (
    "More than {} bytes of rejected lines hold this text: give the whole key of one person, or look"
    " for it in the error files of jobs."
)
_BEGIN: Final = {"job_id": 0, "record_number": 0}
_END: Final = {"job_id": 2**63 - 1, "record_number": 2**31 - 1}


class PersonReader:
    """Reads persons for one API process."""

    def __init__(
        self, database: Database, users: UserReader, history: UserHistory, jobs: JobReader
    ) -> None:
        self._database = database
        self._users = users
        self._history = history
        self._jobs = jobs

    async def read(self, key: str, job_log: JobLog, reconciliation_key: str) -> Person:
        """Return what is stored of the person with this reconciliation key.

        Raises:
            InvalidRequestError: nothing is, or it can be no key, or too many lines hold it.
            UnavailableError: the history was not read in time.
        """
        defined = await select_attributes(self._database)
        types: dict[str, AttributeType] = {each.name: each.type for each in defined}
        wanted = UserFilter(key=key).parameters(types, reconciliation_key)
        key = str(wanted["key"])
        rows = await self._database.select_projected(_SELECT_ID, (key,))
        rejected = await select_rejected(self._database, key)
        if not rows and not rejected:
            raise UnknownUserError
        user = await self._users.fetch(rows[0]["id"]) if rows else None
        history = await self._whole_history(int(user.id)) if user else []
        job_ids = [entry.job_id for entry in history if entry.job_id is not None]
        job_ids += [line.job_id for line in rejected]
        return Person(
            key=key,
            user=user,
            history=history,
            rejected=rejected,
            jobs=await self._statuses(job_ids, job_log),
        )

    async def _whole_history(self, user_id: int) -> list[EntryShown]:
        found: list[EntryShown] = []
        while True:
            page = await self._history.select_page(
                user_id, start=len(found), page_size=_HISTORY_PAGE
            )
            found += page.history
            if len(found) >= page.total or not page.history:
                return found

    async def _statuses(self, job_ids: Iterable[str], job_log: JobLog) -> list[JobStatus]:
        jobs = [job_log.ledger.job(int(job_id)) for job_id in dict.fromkeys(job_ids)]
        found = await self._jobs.select_views([job for job in jobs if job is not None])
        return [views.job_status(view) for view in found]


async def select_rejected(
    database: Database, key: str, *, at_once: int = _AT_ONCE, most_bytes: int = _MOST_BYTES
) -> list[PersonRejection]:
    """Return the rejected lines that hold this text, searched in ranges of the primary key.

    Raises:
        InvalidRequestError: they come to more than so many bytes.
    """
    found: list[PersonRejection] = []
    left = most_bytes
    after = _BEGIN
    while after != _END:
        ends = await database.select_projected(SELECT_END, {**after, "at_once": at_once - 1})
        last = ends[0] if ends else _END
        rows = await database.select_projected(
            SELECT_REJECTED,
            {
                **after,
                **{f"last_{name}": value for name, value in last.items()},
                "key": key,
                "most_bytes": left,
            },
        )
        left -= rows[-1]["bytes"] if rows else 0
        if left < 0:
            raise invalid_parameter("key", _TOO_MANY.format(most_bytes))
        found += [
            PersonRejection(
                job_id=str(row["job_id"]),
                **{name: row[name] for name in ("line", "column", "code", "reason", "raw")},
            )
            for row in rows
        ]
        after = last
    return found
