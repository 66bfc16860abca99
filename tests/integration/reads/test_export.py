"""The audience as CSV, NDJSON and Parquet, from a read model made by hand."""

from __future__ import annotations

import csv
import io
import json
from datetime import date
from functools import partial
from typing import TYPE_CHECKING, Any, LiteralString

import psycopg
import pyarrow.parquet
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ingest_api.errors import InvalidRequestError, SchemaGoneError
from ingest_api.export.audience import Export, exported_users
from ingest_api.export.columns import attribute_columns, chosen_columns
from ingest_api.postgres.row_stream import RowStreams
from ingest_api.postgres.schema_names import PUBLIC
from ingest_api.users.filters import UserFilter, read_filter
from schemas.events import AttributeColumn, UserRow
from schemas.rules.fields import FIELDS
from tests.support.data.read_model_rows import PARTITIONS, ask, execute, make_read_model
from tests.support.models.file_oracle import accepted_job, read_events
from tests.support.servers.surroundings import ground

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ingest_api.export.audience import Format
    from ingest_api.postgres.pool import Database
    from schemas.events import AttributeType
    from tests.support.servers.surroundings import Surroundings

TYPES: dict[str, AttributeType] = {
    "born": "date",
    "plan": "string",
    "Score 2": "number",
    "vip": "boolean",
}
DEFINE: LiteralString = """
INSERT INTO model.attribute VALUES (%s, %s, false, false, now(), 'admin')
"""
KNOWN: LiteralString = """
INSERT INTO model.attribute_partition (name, partition, type)
SELECT name, partition, type FROM model.attribute, generate_series(0, %s) AS partition
"""
INSERT: LiteralString = """
INSERT INTO model.user_row (generation, partition, id, key, first_name, last_name, email,
                            mobile_number, country, state, last_active_date, sms_subscription,
                            email_subscription, voice_subscription, attributes, created_at,
                            modified_at)
VALUES (1, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, '2017-08-28 12:23:28.5Z',
        '2017-08-28 00:23:28Z')
"""
COUNTS: LiteralString = """
UPDATE model.user_count SET users = (
    SELECT count(*) FROM model.user_row
    WHERE user_row.generation = user_count.generation AND user_row.partition = user_count.partition
)
"""
User = dict[str, Any]

_EDGES = "aZß€😀09'\"=+-@,;|\\.{}%$<"
_INNER = _EDGES + " \t\n\r\u200b\ufeff\u00a0\u2028\u202e\x01\x7f"
TEXTS = st.tuples(
    st.sampled_from(_EDGES), st.text(_INNER, max_size=12), st.sampled_from(_EDGES)
).map("".join)
ATTRIBUTES = st.fixed_dictionaries(
    {},
    optional={
        "born": st.dates().map(str),
        "plan": TEXTS,
        "Score 2": st.integers(-(10**14), 10**14) | st.sampled_from([0.5, -12.25]),
        "vip": st.booleans(),
    },
)
USERS = st.lists(
    st.fixed_dictionaries(
        {
            "first_name": TEXTS,
            "last_name": TEXTS,
            "mobile_number": st.none() | st.just("+14155550101"),
            "country": TEXTS,
            "state": st.none() | TEXTS,
            "last_active_date": st.none() | st.dates(),
            "sms_subscription": st.booleans(),
            "email_subscription": st.booleans(),
            "voice_subscription": st.booleans(),
            "attributes": ATTRIBUTES,
        }
    ),
    max_size=6,
)


def fill(conninfo: str, users: list[User]) -> None:
    """Have these users and no others, in all partitions."""
    with psycopg.connect(conninfo) as connection:
        connection.execute("TRUNCATE model.user_row")
        for number, user in enumerate(users):
            user["email"] = f"{number}o'Hara+{number}@example.com"
            partition = number % PARTITIONS
            values = [user[field.name] for field in FIELDS]
            place = (partition, (partition << 48) + number + 1, user["email"].lower())
            connection.execute(INSERT, (*place, *values, json.dumps(user["attributes"])))
        connection.execute(COUNTS)


@pytest.fixture(scope="module")
def database(surroundings_of_session: Surroundings) -> Iterator[str]:
    """Tables without users, in which attributes are defined."""
    with ground(surroundings_of_session) as made:
        make_read_model(made.conninfo)
        for name, kind in TYPES.items():
            execute(made.conninfo, DEFINE, name, kind)
        execute(made.conninfo, KNOWN, PARTITIONS - 1)
        yield made.conninfo


def exported(
    conninfo: str,
    format_name: Format,
    columns: list[str] | None = None,
    users: UserFilter | None = None,
    schema: str = PUBLIC,
) -> tuple[bytes, int | None]:
    """The file, and how many users it is said to hold."""
    export = Export(users or UserFilter(), columns, format_name)
    work = partial(exported_users, export=export, reconciliation_key="email")

    async def read(db: Database) -> tuple[bytes, int | None]:
        stream = await RowStreams(db).open(work, {"schema": schema})
        try:
            return b"".join([piece async for piece in stream.pieces()]), stream.total
        finally:
            await stream.close()

    return ask(conninfo, read)


def in_order(users: list[User]) -> list[User]:
    """The users as ids have them: a partition after the other."""
    return [user for n in range(PARTITIONS) for user in users[n::PARTITIONS]]


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(users=USERS)
def test_an_exported_file_is_imported_as_it_was(database: str, users: list[User]) -> None:
    """Each cell comes back as the value that it was made of, and a blank one was null."""
    fill(database, users)
    content, total = exported(database, "csv")
    columns = tuple(AttributeColumn(name, kind) for name, kind in TYPES.items())
    events = read_events(content, accepted_job(mode="upsert", attributes=columns))
    assert total == len(users) == len(events)
    for event, user in zip(events, in_order(users), strict=True):
        assert isinstance(event, UserRow), event
        for field in FIELDS:
            if user[field.name] is not None:
                assert getattr(event, field.name) == user[field.name]
            assert bool(event.present & field.bit) == (user[field.name] is not None)
        found = {name: text for name, text in event.attributes.items() if text is not None}
        assert found == {name: text_of(value) for name, value in user["attributes"].items()}


def text_of(value: Any) -> str:
    """An attribute's value as an event has it."""
    return value if isinstance(value, str) else json.dumps(value)


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(users=USERS)
def test_the_formats_hold_the_same(database: str, users: list[User]) -> None:
    """NDJSON in the words of the API, Parquet typed; nulls stay nulls."""
    fill(database, users)
    names = {field.name: field.json_name for field in FIELDS}
    lines = exported(database, "ndjson")[0].decode().split("\n")
    assert lines.pop() == ""
    table = pyarrow.parquet.read_table(io.BytesIO(exported(database, "parquet")[0]))
    rows: list[dict[str, Any]] = table.to_pylist()
    for line, row, user in zip(map(json.loads, lines), rows, in_order(users), strict=True):
        wanted = {shown: user[name] for name, shown in names.items()}
        day = user["last_active_date"]
        dated = wanted | {"lastActiveDate": day and day.isoformat()}
        assert line == {**dated, "attributes": user["attributes"]}
        attributes = dict.fromkeys(TYPES) | user["attributes"]
        if attributes["born"]:
            attributes["born"] = date.fromisoformat(attributes["born"])
        assert row == wanted | attributes


ADA: User = {
    "first_name": "Ada",
    "last_name": "Lovelace",
    "mobile_number": None,
    "country": "UK",
    "state": None,
    "last_active_date": date(987, 1, 31),
    "sms_subscription": False,
    "email_subscription": True,
    "voice_subscription": True,
    "attributes": {"plan": "gold", "vip": False},
}


def test_columns_are_chosen(database: str) -> None:
    """In the order of the request, by either name; ids and times only where they are asked for."""
    fill(database, [dict(ADA)])
    content, _ = exported(database, "csv", ["id", "First_Name", "PLAN", "created date", "key"])
    assert content.decode() == (
        "Id,First Name,plan,Created Date,Key\n"
        "1,Ada,gold,2017-08-28T12:23:28.500000Z,0o'hara+0@example.com\n"
    )
    line = json.loads(exported(database, "ndjson", ["lastActiveDate", "vip", "jobId"])[0])
    assert line == {"lastActiveDate": "0987-01-31", "jobId": None, "attributes": {"vip": False}}
    whole = exported(database, "csv")[0].decode().splitlines()
    header = [field.header for field in FIELDS]
    assert next(csv.reader(whole)) == [*header, *sorted(TYPES)]
    for names, reason in (
        (["emial"], "There is no column emial: is it Email"),
        (["email", "Email"], "The column Email is named twice"),
        ([""], "There is no column"),
    ):
        with pytest.raises(InvalidRequestError) as refused:
            exported(database, "csv", names)
        assert reason in refused.value.details[0].message


def test_an_attribute_hides_no_column_that_we_have() -> None:
    """It may have been called so before there was the column."""
    (column,) = chosen_columns(attribute_columns({"Job Id": "string"}), ["jobId"])
    assert column.value == "job_id::text"


def test_filters_take_what_they_take_of_lists(database: str) -> None:
    """And the total counts those alone."""
    fill(database, [dict(ADA, country=country) for country in ("UK", "France", "uk", "UK")])
    query = {"country": ["uk"], "attributes.plan": ["gold"]}
    content, total = exported(database, "csv", ["country"], read_filter(query))
    assert (content, total) == (b"Country\nUK\nUK\nuk\n", 3)
    with pytest.raises(InvalidRequestError):
        exported(database, "csv", None, read_filter({"attributes.color": ["red"]}))


def test_nobody_is_a_file_too(database: str) -> None:
    """With its header, or its schema."""
    fill(database, [])
    assert exported(database, "csv", ["email", "plan"]) == (b"Email,plan\n", 0)
    assert exported(database, "ndjson") == (b"", 0)
    empty = pyarrow.parquet.read_table(io.BytesIO(exported(database, "parquet")[0]))
    assert (empty.num_rows, empty.column_names[-1]) == (0, "vip")


def test_a_past_audience_that_is_gone_is_told(database: str) -> None:
    """Before anything is sent, so that it can be asked for again."""
    with pytest.raises(SchemaGoneError):
        exported(database, "csv", schema="projection_77")
