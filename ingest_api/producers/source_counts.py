"""Select the counts of what other producers sent, by source."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Final

import msgspec
from msgspec import Meta

from ingest_api.openapi.response_types import Count, Date
from ingest_api.web.dates import date_text
from schemas.read_model.tables import OTHER_SOURCES

if TYPE_CHECKING:
    from ingest_api.postgres.pool import Database
    from ingest_api.web.paging import Page

_COUNTS: Final = (
    "inserted", "updated", "unchanged", "deleted", "rejected", "dead", "repeats",
)  # fmt: skip


class SourceShown(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What became of one source's records; its counts add up to ``total``."""

    source: Annotated[
        str | None,
        Meta(
            description="As its events name it, at most 100 characters. Null: they name none, or"
            f" can't be read. `{OTHER_SOURCES}`: all beyond the first thousand of a partition."
        ),
    ]
    total: Count
    inserted: Count
    updated: Count
    unchanged: Count
    deleted: Count
    rejected: Annotated[Count, Meta(description="Writes of this API, which said so at once.")]
    dead: Annotated[Count, Meta(description="Dead letters.")]
    repeats: Annotated[Count, Meta(description="The same event once more: it changed nothing.")]
    first_event: Annotated[Date, Meta(description="Time of its first record.")]
    last_event: Annotated[Date, Meta(description="Time of its last record.")]


class SourcePage(msgspec.Struct, frozen=True):
    """A page of sources, those heard of last first."""

    total: Count
    sources: list[SourceShown]


class SourceReader:
    """Selects sources for one API process."""

    def __init__(self, database: Database) -> None:
        self._database = database

    _COLUMNS: Final = """
    source, inserted, updated, unchanged, deleted, rejected, dead, repeats, first_at, last_at
    """

    async def select_page(self, page: Page) -> SourcePage:
        """Return a page of the sources.

        Raises:
            StoreUnavailableError: Postgres doesn't answer.
        """
        order: Final = "last_at DESC, source NULLS FIRST"
        total, rows = await self._database.select_page(
            self._COLUMNS, "public.sources", order=order, size=page.size, start=page.start
        )
        return SourcePage(total, [_source_view(row) for row in rows])


def _source_view(row: dict[str, Any]) -> SourceShown:
    counts = {name: row[name] for name in _COUNTS}
    return SourceShown(
        source=row["source"],
        total=sum(counts.values()),
        **counts,
        first_event=date_text(row["first_at"]),
        last_event=date_text(row["last_at"]),
    )
