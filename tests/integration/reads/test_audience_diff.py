"""What differs between two audiences, against a comparison in plain Python."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from ingest_api.as_of.diff import KINDS, AudienceDiff, DiffPage, Sides
from ingest_api.errors import SchemaGoneError
from ingest_api.postgres.schema_names import PUBLIC
from tests.support.clients.answers import sent
from tests.support.data.read_model_rows import (
    BEFORE,
    LIVE,
    NEW,
    OLD,
    ask,
    execute,
    expected,
    make_both,
    make_instance,
)
from tests.support.servers.surroundings import ground

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ingest_api.as_of.diff import FoundDifferences, Kind
    from ingest_api.postgres.pool import Database
    from tests.support.servers.surroundings import Surroundings


@pytest.fixture(scope="module")
def database(surroundings_of_session: Surroundings) -> Iterator[str]:
    """A live audience, and a past one beside it."""
    with ground(surroundings_of_session) as made:
        make_both(made.conninfo)
        yield made.conninfo


def page(conninfo: str, sides: Sides, **of: Any) -> dict[str, Any]:
    """A page of the differences."""
    found = ask(conninfo, lambda db: AudienceDiff(db).select_page(sides, DiffPage(**of)))
    return {**found.counts, "entries": [sent(entry) for entry in found.entries]}


@pytest.mark.parametrize("few", [2000, 3])
@pytest.mark.parametrize("after_schema", [PUBLIC, LIVE])
def test_every_difference_is_found_once(
    database: str, monkeypatch: pytest.MonkeyPatch, after_schema: str, few: int
) -> None:
    """In the order of keys, over as many pages as it takes; the counts are of all."""
    monkeypatch.setattr("ingest_api.as_of.diff._FEW", few)
    sides = Sides(BEFORE, after_schema)
    found: list[tuple[str, str]] = []
    while True:
        last = found[-1][0] if found else ""
        answer = page(database, sides, after=last, size=17)
        found += [(entry["key"], entry["kind"]) for entry in answer["entries"]]
        if after_schema == PUBLIC and last:
            assert [answer[kind] for kind in KINDS] == [None] * 3
        else:
            kinds = [kind for _, kind in expected()]
            assert [answer[kind] for kind in KINDS] == [kinds.count(kind) for kind in KINDS]
        if len(answer["entries"]) < 17:
            break
    assert len(expected()) > 100
    assert found == expected()


@pytest.mark.parametrize("few", [2000, 3])
@pytest.mark.parametrize("kind", KINDS)
def test_one_kind_is_asked_for(
    database: str, monkeypatch: pytest.MonkeyPatch, kind: Kind, few: int
) -> None:
    """By itself, with its pages."""
    monkeypatch.setattr("ingest_api.as_of.diff._FEW", few)
    wanted = [key for key, its in expected() if its == kind]
    answer = page(database, Sides(BEFORE, PUBLIC), kinds=(kind,), size=5)
    assert [entry["key"] for entry in answer["entries"]] == wanted[:5]
    again = page(database, Sides(BEFORE, PUBLIC), kinds=(kind,), size=1000, after=wanted[4])
    assert [entry["key"] for entry in again["entries"]] == wanted[5:]


def test_an_entry_shows_what_differs(database: str) -> None:
    """Of a changed user only that, of the others all that is set."""
    answer = page(database, Sides(BEFORE, PUBLIC), size=1000)
    for entry in answer["entries"]:
        old, new = OLD.get(entry["key"]), NEW.get(entry["key"])
        if old and new:
            assert ("lastName" in entry["before"]) == (old[1] != new[1])
            assert ("smsSubscription" in entry["after"]) == (old[4] != new[4])
            assert entry["before"].keys() == entry["after"].keys() != set()
        if old and not new:
            assert entry["after"] is None
            assert (entry["before"]["firstName"], entry["before"].get("lastName")) == old[:2]
        if new and not old:
            assert entry["before"] is None
            assert entry["after"]["email"] == entry["key"]
            day = new[3] and f"08/{new[3][-2:]}/2017 12:00:00 AM GMT"
            assert entry["after"].get("lastActiveDateStr") == day
            assert ("attributes.tier" in entry["after"]) == ("gold" in new[5])
    ids = {entry["kind"]: int(entry["id"]) & 0xFFFF for entry in answer["entries"]}
    assert ids["removed"] < 1000 < ids["added"]


def test_an_audience_does_not_differ_from_itself(database: str) -> None:
    """Nor do two that nobody is in."""
    nothing: dict[str, Any] = {"added": 0, "changed": 0, "removed": 0, "entries": []}
    assert page(database, Sides(PUBLIC, PUBLIC)) == nothing
    make_instance(database, "projection_8")
    execute(database, "UPDATE projection_8.projection SET active_generation = NULL")
    assert page(database, Sides("projection_8", "projection_8")) == nothing
    assert page(database, Sides("projection_8", PUBLIC))["added"] == len(NEW)


def test_what_was_found_between_past_audiences_is_kept(database: str) -> None:
    """By one process, so each page after the first is cheap; with the live one nothing is."""
    answers: list[list[FoundDifferences]] = []
    for sides in (Sides(BEFORE, LIVE), Sides(BEFORE, PUBLIC)):

        async def run(db: Database, sides: Sides = sides) -> list[FoundDifferences]:
            diff = AudienceDiff(db)
            first = await diff.select_page(sides, DiffPage(size=5))
            statement = "UPDATE model.user_row SET country = 'x' WHERE partition = %s"
            with psycopg.connect(database, autocommit=True) as connection:
                connection.execute(statement, (0,))
                again = await diff.select_page(sides, DiffPage(size=5))
                connection.execute(statement.replace("'x'", "NULL"), (0,))
            return [first, again]

        answers.append(ask(database, run))
    (first, again), (live, live_again) = answers
    assert first.counts["changed"] == again.counts["changed"] == live.counts["changed"]
    assert (live_again.counts["changed"] or 0) > (live.counts["changed"] or 0)


def test_one_that_is_gone_is_no_empty_audience(database: str) -> None:
    """It is to be asked for again."""
    with pytest.raises(SchemaGoneError):
        page(database, Sides("projection_77", PUBLIC))
