"""Select users: one by id, or a page by filter.

A statement that names its generation is planned for that one's leaves alone,
however many generations are kept; so the active one is asked for first, and
what follows sees the same snapshot.
The schema is that of the active projection instance, or of one that is as the
audience was at another time.
Within a generation ids rise with the log partition, a leaf each, so the leaves'
counts tell in which one an index lies.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final, LiteralString

from ingest_api.openapi.response_types import Users
from ingest_api.openapi.user_answers import user_of
from ingest_api.postgres.schema_names import PUBLIC
from ingest_api.web.dates import nearer_end
from schemas.log.positions import place_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ingest_api.openapi.response_types import User
    from ingest_api.postgres.pool import Database, Snapshot
    from ingest_api.users.filters import UserFilter
    from ingest_api.web.dates import Row
    from ingest_api.web.paging import Page

_FEW: Final = 1000
"""So many matches of a filter are sorted here; more are found in the order of ids."""


@dataclass(frozen=True, slots=True)
class _Leaves:
    """The active generation, and its number of users by partition, in that order."""

    generation: int
    counts: Sequence[tuple[int, int]]

    @property
    def total(self) -> int:
        return sum(users for _, users in self.counts)

    def locate(self, index: int) -> tuple[int, int, int]:
        """Return (partition, index in its leaf, users of its leaf) of the user with this index."""
        for partition, users in self.counts:
            if index < users:
                return partition, index, users
            index -= users
        raise IndexError(index)


_COLUMNS: Final = """
    id, first_name, last_name, email, mobile_number, country, state, last_active_date,
    sms_subscription, email_subscription, voice_subscription, attributes, created_at, modified_at
"""


class UserReader:
    """Selects users for one API process.

    Each raises :class:`ingest_api.postgres.pool.StoreUnavailableError` where Postgres doesn't
    answer.
    """

    def __init__(self, database: Database, reconciliation_key: str) -> None:
        self._database = database
        self._reconciliation_key = reconciliation_key

    async def fetch(self, user_id: int, schema: str = PUBLIC) -> User | None:
        """Return the user with this id, or None.

        Raises:
            SchemaGoneError: the schema, which is not ``public``, is not there.
        """
        return await self._database.read(partial(self._fetch, user_id=user_id), {"schema": schema})

    async def select_page(self, user_filter: UserFilter, page: Page, schema: str = PUBLIC) -> Users:
        """Return a page of the users that fit the filter, by id, and the number of all of them.

        Only users with an id above ``page.after`` are read.

        Raises:
            InvalidRequestError: the filter has an unknown attribute or a value not of its type.
            SchemaGoneError: the schema, which is not ``public``, is not there.
        """
        return await self._database.read(
            partial(self._page, user_filter=user_filter, page=page), {"schema": schema}
        )

    _SELECT_LEAVES: Final = """
    SELECT generation, partition, users FROM {schema}.user_leaves ORDER BY partition
    """

    async def _leaves(self, snapshot: Snapshot) -> _Leaves | None:
        rows = await snapshot.select(self._SELECT_LEAVES)
        if not rows or rows[0]["generation"] is None:
            return None
        counts = [(row["partition"], row["users"]) for row in rows if row["partition"] is not None]
        return _Leaves(rows[0]["generation"], counts)

    _SELECT_USER: Final = (
        "SELECT"
        + _COLUMNS
        + """
    FROM {schema}.user_leaf_rows
    WHERE generation = %(generation)s AND partition = %(partition)s AND id = %(id)s
    """
    )

    async def _fetch(self, snapshot: Snapshot, *, user_id: int) -> User | None:
        leaves = await self._leaves(snapshot)
        if leaves is None:
            return None
        parameters = {
            "generation": leaves.generation,
            "partition": place_of(user_id).partition,
            "id": user_id,
        }
        rows = await snapshot.select(self._SELECT_USER, parameters)
        return user_of(rows[0]) if rows else None

    async def _page(self, snapshot: Snapshot, *, user_filter: UserFilter, page: Page) -> Users:
        leaves = await self._leaves(snapshot)
        if leaves is None:
            await self._parameters(snapshot, user_filter)  # a wrong filter is refused all the same
            return Users(total=0, audience=[])
        if user_filter.is_empty:
            return await self._unfiltered(snapshot, leaves, page)
        return await self._filtered(snapshot, leaves.generation, user_filter, page)

    _SELECT_PAGE: Final = (
        "SELECT"
        + _COLUMNS
        + """
    FROM {schema}.user_leaf_rows
    WHERE generation = %(generation)s AND id > %(after)s
    ORDER BY id
    LIMIT %(page_size)s
    """
    )

    async def _unfiltered(self, snapshot: Snapshot, leaves: _Leaves, page: Page) -> Users:
        after: int | None = page.after
        if page.start:
            after = await self._after(snapshot, leaves, page)
        if after is None:
            return Users(total=leaves.total, audience=[])
        parameters = {"generation": leaves.generation, "after": after, "page_size": page.size}
        rows = await snapshot.select(self._SELECT_PAGE, parameters)
        return Users(total=leaves.total, audience=[user_of(row) for row in rows])

    # The index alone answers these; the users between are not looked at.
    _SELECT_NTH_AFTER: Final = """
    SELECT id FROM {schema}.user_leaf_rows
    WHERE generation = %(generation)s AND id > %(after)s
    ORDER BY id
    LIMIT 1 OFFSET %(skipped)s
    """
    _SELECT_NTH_OF_LEAF: Final = """
    SELECT id FROM {schema}.user_leaf_rows
    WHERE generation = %(generation)s AND partition = %(partition)s
    ORDER BY id
    LIMIT 1 OFFSET %(skipped)s
    """
    _SELECT_NTH_OF_LEAF_FROM_END: Final = """
    SELECT id FROM {schema}.user_leaf_rows
    WHERE generation = %(generation)s AND partition = %(partition)s
    ORDER BY id DESC
    LIMIT 1 OFFSET %(skipped)s
    """

    async def _after(self, snapshot: Snapshot, leaves: _Leaves, page: Page) -> int | None:
        """Return the id after which the page begins; None where it lies beyond the end."""
        if page.start >= leaves.total:
            return None
        parameters: dict[str, object] = {"generation": leaves.generation}
        if page.after:
            statement = self._SELECT_NTH_AFTER
            parameters |= {"after": page.after, "skipped": page.start}
        else:
            partition, index, users = leaves.locate(page.start)
            skipped, is_from_end = nearer_end(index, users)
            statement = (
                self._SELECT_NTH_OF_LEAF_FROM_END if is_from_end else self._SELECT_NTH_OF_LEAF
            )
            parameters |= {"partition": partition, "skipped": skipped}
        rows = await snapshot.select(statement, parameters)
        return rows[0]["id"] - 1 if rows else None

    _SELECT_ATTRIBUTES: Final = """
    SELECT name, type FROM {schema}.attributes
    """

    async def _parameters(self, snapshot: Snapshot, user_filter: UserFilter) -> dict[str, Any]:
        types: dict[str, Any] = {}
        if user_filter.needs_attributes(self._reconciliation_key):
            rows = await snapshot.select(self._SELECT_ATTRIBUTES)
            types = {row["name"]: row["type"] for row in rows}
        return user_filter.parameters(types, self._reconciliation_key)

    _SELECT_FEW_IDS: Final[LiteralString] = """
    SELECT id FROM {schema}.user_leaf_rows
    WHERE generation = %(generation)s AND {condition}
    LIMIT %(most)s
    """
    _COUNT: Final[LiteralString] = """
    SELECT count(*) AS total FROM {schema}.user_leaf_rows
    WHERE generation = %(generation)s AND {condition}
    """
    _SELECT_BY_ID: Final = (
        "SELECT"
        + _COLUMNS
        + """
    FROM {schema}.user_leaf_rows
    WHERE generation = %(generation)s AND id = ANY(%(ids)s)
    ORDER BY id
    """
    )
    _SELECT_FILTERED: Final[LiteralString] = (
        "SELECT"
        + _COLUMNS
        + """
    FROM {schema}.user_leaf_rows
    WHERE generation = %(generation)s AND id > %(after)s AND {condition}
    ORDER BY id
    LIMIT %(page_size)s OFFSET %(start)s
    """
    )

    async def _filtered(
        self, snapshot: Snapshot, generation: int, user_filter: UserFilter, page: Page
    ) -> Users:
        condition = user_filter.condition(self._reconciliation_key)

        async def select(statement: LiteralString) -> list[Row]:
            return await snapshot.select(statement.replace("{condition}", condition), parameters)

        parameters = {
            "generation": generation,
            "after": page.after,
            "start": page.start,
            "page_size": page.size,
            "most": _FEW + 1,
            **await self._parameters(snapshot, user_filter),
        }
        ids = [row["id"] for row in await select(self._SELECT_FEW_IDS)]
        total = len(ids)
        if total > _FEW:
            total = (await select(self._COUNT))[0]["total"]
            rows = await select(self._SELECT_FILTERED)
        else:
            following = sorted(user_id for user_id in ids if user_id > page.after)
            parameters["ids"] = following[page.start : page.start + page.size]
            rows = await select(self._SELECT_BY_ID)
        return Users(total=total, audience=[user_of(row) for row in rows])
