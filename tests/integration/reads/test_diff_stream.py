"""All differences as one stream, against the pages that hold the same."""

from __future__ import annotations

import csv
import io
import json
from functools import partial
from typing import TYPE_CHECKING, Any, LiteralString

import pyarrow.parquet
import pytest

from ingest_api.as_of.diff import KINDS, AudienceDiff, DiffPage, Sides
from ingest_api.as_of.diff_stream import csv_differences, json_differences, parquet_differences
from ingest_api.errors import SchemaGoneError
from ingest_api.postgres.row_stream import RowStreams
from ingest_api.postgres.schema_names import PUBLIC
from tests.support.clients.answers import sent
from tests.support.data.read_model_rows import BEFORE, NEW, ask, execute, expected, make_both
from tests.support.servers.surroundings import ground

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ingest_api.as_of.diff import Kind
    from ingest_api.postgres.pool import Database
    from tests.support.servers.surroundings import Surroundings

_NASTY: LiteralString = """
UPDATE model.user_row SET first_name = %s, last_name = %s, last_active_date = '0987-01-31',
       attributes = '{"tier": "\\u0001\\"\\\\,\\n", "n": -2.5}'
WHERE key = %s
"""


@pytest.fixture(scope="module")
def database(surroundings_of_session: Surroundings) -> Iterator[str]:
    """A live audience with some values that need quotes and escapes, and a past one."""
    with ground(surroundings_of_session) as made:
        make_both(made.conninfo)
        names = ('=1+1,"x"', "'-a\r\nb\\\t€😀"), ("O'Hara", "'+1"), ("@", "x" * 3000)
        for (first, last), key in zip(names, list(NEW)[:3], strict=True):
            execute(made.conninfo, _NASTY, first, last, key)
        yield made.conninfo


def streamed_bytes(conninfo: str, work: Any, page: DiffPage) -> bytes:
    """The whole stream."""

    async def read(db: Database) -> bytes:
        make = partial(work, page=page)
        stream = await RowStreams(db).open(make, {"old": BEFORE, "new": PUBLIC})
        try:
            return b"".join([piece async for piece in stream.pieces()])
        finally:
            await stream.close()

    return ask(conninfo, read)


def streamed(conninfo: str, work: Any, page: DiffPage) -> str:
    """The same as text."""
    return streamed_bytes(conninfo, work, page).decode()


def paged(conninfo: str) -> list[dict[str, Any]]:
    """The same from one page."""
    found = ask(
        conninfo,
        lambda db: AudienceDiff(db).select_page(Sides(BEFORE, PUBLIC), DiffPage(size=1000)),
    )
    return [sent(entry) for entry in found.entries]


def test_ndjson_is_what_the_pages_have(database: str) -> None:
    """A user on each line, by key; of an added or removed one all that is set."""
    lines = streamed(database, json_differences, DiffPage()).splitlines()
    found = [json.loads(line) for line in lines]
    assert found == paged(database)
    assert len(found) >= len(expected()) > 100


def test_csv_has_a_line_for_each_field(database: str) -> None:
    """The values as the pages have them; what a spreadsheet would run begins with an apostrophe."""
    text = streamed(database, csv_differences, DiffPage())
    assert text.startswith("\ufeffkind,key,id,field,before,after\r\n")
    rows = list(csv.reader(io.StringIO(text.removeprefix("\ufeff"), newline="")))[1:]
    wanted = [
        [entry["kind"], entry["key"], entry["id"], name, *map(cell, both)]
        for entry in paged(database)
        for name, *both in sides(entry)
    ]
    assert sorted(rows) == sorted(wanted)
    assert [row[1] for row in rows] == [row[1] for row in wanted]
    assert any(row[5] == "''-a\r\nb\\\t€😀" for row in rows)


def test_parquet_has_a_row_for_each_field(database: str) -> None:
    """In the order of users; values are as they are, and null where there is none."""
    content = streamed_bytes(database, parquet_differences, DiffPage())
    rows = pyarrow.parquet.read_table(io.BytesIO(content)).to_pylist()
    wanted = [
        (entry["kind"], entry["key"], entry["id"], name, *map(plain, both))
        for entry in paged(database)
        for name, *both in sides(entry)
    ]
    assert sorted(map(str, (tuple(row.values()) for row in rows))) == sorted(map(str, wanted))
    assert [row["key"] for row in rows] == [row[1] for row in wanted]
    assert any(row["after"] == "'-a\r\nb\\\t€😀" for row in rows)


def plain(value: Any) -> str | None:
    """A value as Parquet has it."""
    return value if value is None or isinstance(value, str) else json.dumps(value)


def sides(entry: dict[str, Any]) -> Iterator[tuple[str, Any, Any]]:
    """Each field that differs, before and after."""
    before: dict[str, Any] = entry["before"] or {}
    after: dict[str, Any] = entry["after"] or {}
    for name in before | after:
        yield name, before.get(name), after.get(name)


def cell(value: Any) -> str:
    """A value as the file has it."""
    if value is None:
        return ""
    text = value if isinstance(value, str) else json.dumps(value)
    is_formula = text.lstrip("'")[:1] in set("=+-@\t\r") and bool(text.lstrip("'"))
    return f"'{text}" if is_formula else text


@pytest.mark.parametrize("kind", KINDS)
def test_only_what_is_asked_for_is_sent(database: str, kind: Kind) -> None:
    """One kind, after a key."""
    keys = [entry["key"] for entry in paged(database) if entry["kind"] == kind]
    page = DiffPage(kinds=(kind,), after=keys[4])
    lines = streamed(database, json_differences, page).splitlines()
    assert [json.loads(line)["key"] for line in lines] == keys[5:]


def test_a_past_audience_that_is_gone_is_told_before_anything_is_sent(database: str) -> None:
    """So that it can be asked for again."""

    async def begin(db: Database) -> None:
        work = partial(csv_differences, page=DiffPage())
        await RowStreams(db).open(work, {"old": "projection_77", "new": PUBLIC})

    with pytest.raises(SchemaGoneError):
        ask(database, begin)
