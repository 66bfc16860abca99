"""Compare the audience of two points: users added, changed and removed, by key.

Both are projection instances, or one of them the live one, each in a Postgres
schema of its own; a page and its counts are read in one snapshot.
A user is the same where its key is; it has changed where one of its fields or
attributes has, whatever its id and its times are.

The counts take one look at both audiences, which finds the differences
themselves where they are few; between two past audiences neither ever changes, so
both are kept.
Where there are many, each kind is found by a join in the order of keys that ends
with the page: it goes no further than the users between its entries.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final, Literal, LiteralString

from ingest_api.openapi.response_types import UserDifference
from ingest_api.openapi.user_answers import shown_fields
from ingest_api.postgres.schema_names import PUBLIC
from ingest_api.postgres.slots import Slots
from schemas.read_model.tables import USER_COLUMNS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ingest_api.postgres.pool import Database, Snapshot
    from ingest_api.web.dates import Row

Kind = Literal["added", "changed", "removed"]
KINDS: Final[tuple[Kind, ...]] = ("added", "changed", "removed")
_AT_ONCE: Final = 2
_SLOT_TIMEOUT_S: Final = 20
_NO_SLOT: Final = f"{_AT_ONCE} other differences are being looked for, try again"
_TIMEOUT_S: Final = 120
_FEW: Final = 2000
"""So many differences are kept with their counts."""
_KEPT: Final = 64

_COLUMNS: LiteralString = ", ".join(USER_COLUMNS)


def _values_of(side: LiteralString) -> LiteralString:
    return ", ".join([side + "." + column for column in USER_COLUMNS])


DIFFER: LiteralString = "(" + _values_of("old") + ") IS DISTINCT FROM (" + _values_of("new") + ")"
_SIDE: LiteralString = """(
    SELECT key, id, <columns> FROM {<side>}.user_leaf_rows
    WHERE generation = %(<side>)s AND key > %(after)s
) AS <side>"""


def _side(side: LiteralString) -> LiteralString:
    return _SIDE.replace("<side>", side).replace("<columns>", _COLUMNS)


def both_sides(join: LiteralString) -> LiteralString:
    """Return the FROM clause of ``old`` and ``new``, the users of both sides with these keys."""
    return _side("old") + join + _side("new") + " ON old.key = new.key"


_SELECT: LiteralString = """
SELECT <kind> AS kind, <key> AS key FROM <both>
WHERE <condition>
ORDER BY <key>
LIMIT %(size)s
"""


def _select(
    kind: LiteralString, key: LiteralString, join: LiteralString, condition: LiteralString
) -> LiteralString:
    statement = _SELECT.replace("<kind>", kind).replace("<key>", key)
    return statement.replace("<both>", both_sides(join)).replace("<condition>", condition)


_SELECT_KIND: Final[Mapping[Kind, LiteralString]] = {
    "added": _select("'added'", "new.key", " RIGHT JOIN ", "old.key IS NULL"),
    "changed": _select("'changed'", "old.key", " JOIN ", DIFFER),
    "removed": _select("'removed'", "old.key", " LEFT JOIN ", "new.key IS NULL"),
}
_SELECT_PAGE: LiteralString = """
SELECT kind, key FROM ((<selects>)) AS found ORDER BY key LIMIT %(size)s
"""
# Row by row, a column that differs tells a user on one side only, too: some are never null.
_SELECT_ALL: Final[LiteralString] = """
WITH differing AS MATERIALIZED (
    SELECT COALESCE(old.key, new.key) AS key,
           CASE WHEN old.key IS NULL THEN 'added'
                WHEN new.key IS NULL THEN 'removed'
                ELSE 'changed' END AS kind
    FROM <both>
    WHERE <differ>
)
SELECT (SELECT count(*) FROM differing WHERE kind = 'added') AS added,
       (SELECT count(*) FROM differing WHERE kind = 'changed') AS changed,
       (SELECT count(*) FROM differing WHERE kind = 'removed') AS removed,
       ARRAY(SELECT key FROM differing ORDER BY key LIMIT %(most)s) AS keys,
       ARRAY(SELECT kind FROM differing ORDER BY key LIMIT %(most)s) AS kinds
""".replace("<differ>", DIFFER).replace("<both>", both_sides(" FULL JOIN "))
SELECT_GENERATIONS: Final[LiteralString] = """
SELECT (SELECT min(generation) FROM {old}.user_leaves) AS old,
       (SELECT min(generation) FROM {new}.user_leaves) AS new
"""
# What does not fit is written to disk, so memory does not grow with the audience.
# Without statistics, as new tables are, the planner would look up every user by its key.
JOIN_SETTINGS: LiteralString = """
SELECT set_config('work_mem', '64MB', true), set_config('jit', 'off', true),
       set_config('enable_nestloop', 'off', true)
"""
# A page is found by merging in the order of keys, and ends with its last entry. A look at all
# users would fetch each by itself that way, which the planner takes for cheap where it has
# statistics: measured for 1,000,000 users on each side 18 to 31 s, and 4 to 8 s by hashing.
MERGE_SETTING: LiteralString = "SELECT set_config('enable_mergejoin', %s, true)"


@dataclass(frozen=True, slots=True)
class DiffPage:
    """A page request: at most ``size`` differences of these kinds with keys after ``after``."""

    kinds: tuple[Kind, ...] = KINDS
    after: str = ""
    size: int = 20


@dataclass(frozen=True, slots=True)
class Sides:
    """The two Postgres schemas that are compared."""

    old: str
    new: str

    @property
    def are_past(self) -> bool:
        """True where neither can change any more."""
        return PUBLIC not in {self.old, self.new}


@dataclass(frozen=True, slots=True)
class _Differences:
    """The counts by kind; and where they are few, all differences: kind and key, by key."""

    counts: dict[Kind, int]
    few: tuple[tuple[Kind, str], ...] | None

    def page(self, page: DiffPage) -> list[tuple[Kind, str]] | None:
        """Return the differences of the page; None where they are too many to be kept."""
        if self.few is None:
            return None
        matching: list[tuple[Kind, str]] = [
            (kind, key)
            for kind, key in self.few
            # In the order of Postgres' collation "C": of bytes.
            if kind in page.kinds and key.encode() > page.after.encode()
        ]
        return matching[: page.size]


@dataclass(frozen=True, slots=True)
class FoundDifferences:
    """The counts by kind, None where they are not known, and a page of differences."""

    counts: dict[Kind, int | None]
    entries: list[UserDifference]


class AudienceDiff:
    """Compares audiences, a few at a time, for one API process."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._slots = Slots(_AT_ONCE, timeout_s=_SLOT_TIMEOUT_S, refusal=_NO_SLOT)
        self._kept: OrderedDict[Sides, _Differences] = OrderedDict()

    async def select_page(self, sides: Sides, page: DiffPage) -> FoundDifferences:
        """Return the counts of all differences, and a page of them by key.

        The counts are null on a later page of a diff with the live audience: each page would
        have to compare all users again.

        Raises:
            UnavailableError: others are being compared.
            SchemaGoneError: one of them was dropped.
            StoreUnavailableError: Postgres doesn't answer, or it takes too long.
        """
        async with self._slots.one():
            schemas = {"old": sides.old, "new": sides.new}
            work = partial(self._page, sides=sides, page=page)
            return await self._database.read(work, schemas, timeout_s=_TIMEOUT_S)

    async def _page(self, snapshot: Snapshot, *, sides: Sides, page: DiffPage) -> FoundDifferences:
        await snapshot.select(JOIN_SETTINGS)
        generations = await self._generations(snapshot)
        differences = self._kept.get(sides)
        if differences is None and (sides.are_past or not page.after):
            differences = await self._compare_all(snapshot, generations)
            if sides.are_past:
                self._keep(sides, differences)
        differing = differences and differences.page(page)
        if differing is None:
            # To find that there is none of a kind would take a look at all users.
            kinds: list[Kind] = [
                kind for kind in page.kinds if differences is None or differences.counts[kind]
            ]
            differing = await self._compare_page(snapshot, generations, kinds, page)
        counts: dict[Kind, int | None] = {
            kind: differences and differences.counts[kind] for kind in KINDS
        }
        return FoundDifferences(counts, await self._entries(snapshot, generations, differing))

    def _keep(self, sides: Sides, differences: _Differences) -> None:
        self._kept[sides] = differences
        if len(self._kept) > _KEPT:
            self._kept.popitem(last=False)

    async def _generations(self, snapshot: Snapshot) -> dict[str, object]:
        """Return the generation that readers see on each side; null where there is none."""
        rows = await snapshot.select(SELECT_GENERATIONS)
        return dict(rows[0]) if rows else {"old": None, "new": None}

    async def _compare_all(
        self, snapshot: Snapshot, generations: Mapping[str, object]
    ) -> _Differences:
        parameters = {**generations, "after": "", "most": _FEW}
        await snapshot.select(MERGE_SETTING, ("off",))
        rows = await snapshot.select(_SELECT_ALL, parameters)
        await snapshot.select(MERGE_SETTING, ("on",))
        if not rows:
            return _Differences(dict.fromkeys(KINDS, 0), ())
        counts: dict[Kind, int] = {kind: rows[0][kind] for kind in KINDS}
        is_few = sum(counts.values()) <= _FEW
        few = tuple(zip(rows[0]["kinds"], rows[0]["keys"], strict=True))
        return _Differences(counts, few if is_few else None)

    async def _compare_page(
        self,
        snapshot: Snapshot,
        generations: Mapping[str, object],
        kinds: Sequence[Kind],
        page: DiffPage,
    ) -> list[tuple[Kind, str]]:
        if not kinds:
            return []
        selects: list[LiteralString] = [_SELECT_KIND[kind] for kind in kinds]
        statement = _SELECT_PAGE.replace("<selects>", ") UNION ALL (".join(selects))
        parameters = {**generations, "after": page.after, "size": page.size}
        return [(row["kind"], row["key"]) for row in await snapshot.select(statement, parameters)]

    async def _entries(
        self,
        snapshot: Snapshot,
        generations: Mapping[str, object],
        differing: Sequence[tuple[Kind, str]],
    ) -> list[UserDifference]:
        keys = [key for _, key in differing]
        if not keys:
            return []
        old = await self._users(snapshot, self._SELECT_OLD, keys, generations["old"])
        new = await self._users(snapshot, self._SELECT_NEW, keys, generations["new"])
        return [_entry(kind, old.get(key), new.get(key)) for kind, key in differing]

    _SELECT_OLD: Final[LiteralString] = """
    SELECT key, id, <columns> FROM {old}.user_leaf_rows
    WHERE generation = %(generation)s AND key = ANY(%(keys)s)
    """.replace("<columns>", _COLUMNS)
    _SELECT_NEW: Final[LiteralString] = _SELECT_OLD.replace("{old}", "{new}")

    async def _users(
        self, snapshot: Snapshot, statement: LiteralString, keys: list[str], generation: object
    ) -> dict[str, Row]:
        rows = await snapshot.select(statement, {"keys": keys, "generation": generation})
        return {row["key"]: row for row in rows}


def _entry(kind: Kind, old: Row | None, new: Row | None) -> UserDifference:
    user = new or old
    assert user is not None, "a key that differs is on one side at least"
    before, after = _values(old), _values(new)
    names = [name for name in before | after if before.get(name) != after.get(name)]
    return UserDifference(
        kind=kind,
        key=user["key"],
        id=str(user["id"]),
        before=None if old is None else {name: before.get(name) for name in names},
        after=None if new is None else {name: after.get(name) for name in names},
    )


def _values(row: Row | None) -> Row:
    """Return the set values of a user, by their names in JSON and ``attributes.<name>``."""
    if row is None:
        return {}
    values = shown_fields(row)
    values |= {f"attributes.{name}": value for name, value in row["attributes"].items()}
    return {name: value for name, value in values.items() if value is not None}
