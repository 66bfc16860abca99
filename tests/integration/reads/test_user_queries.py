"""Users by id, by page and by filter, from a read model made by hand."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from ingest_api.errors import IngestError
from ingest_api.users.filters import read_filter
from ingest_api.users.queries import UserReader
from ingest_api.web.paging import Page
from ingest_api.web.refused import status_of
from tests.support.clients.answers import sent
from tests.support.data.read_model_rows import PARTITIONS, ask, execute, make_read_model
from tests.support.servers.surroundings import ground

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tests.support.servers.surroundings import Ground, Surroundings

USERS = """
INSERT INTO model.user_row (generation, partition, id, key, first_name, last_name, email,
                            mobile_number, country, state,
                            last_active_date, sms_subscription, email_subscription,
                            voice_subscription, attributes, created_at, modified_at)
SELECT %s, partition, (partition::bigint << 48) + n * 10 + 1,
       'u' || n || '@b' || partition || '.co', 'Zoë', NULL, 'U' || n || '@B' || partition || '.co',
       '+4915' || partition || '0000' || n, CASE n WHEN 1 THEN 'USA' ELSE 'India' END,
       CASE n WHEN 1 THEN 'Texas' END, '2017-08-28', true, false, true,
       jsonb_build_object('tier', 'gold', 'Score 2', trim_scale(n / 2.0), 'vip', n = 1, 'since',
                          '2024-02-0' || n),
       '2017-08-28 12:23:28Z', '2017-08-28 00:23:28Z'
FROM generate_series(0, %s) AS partition, generate_series(1, %s) AS n
"""
COUNTS = """
UPDATE model.user_count SET users = (
    SELECT count(*) FROM model.user_row
    WHERE user_row.generation = user_count.generation AND user_row.partition = user_count.partition
)
"""
ATTRIBUTES = """
INSERT INTO model.attribute (name, type, is_reconciliation_key, is_indexed, defined_at, defined_by)
VALUES ('tier', 'string', false, true, now(), 'admin'),
       ('Score 2', 'number', false, true, now(), 'admin'),
       ('vip', 'boolean', false, false, now(), 'admin'),
       ('since', 'date', false, false, now(), 'admin')
"""
ATTRIBUTE_PARTITIONS = """
INSERT INTO model.attribute_partition (name, partition, type)
SELECT name, partition, type FROM model.attribute, generate_series(0, %s) AS partition
"""
EACH = 5
"""Users of a leaf."""
IDS = [str((partition << 48) + n * 10 + 1) for partition in range(PARTITIONS) for n in range(1, 6)]


def fill(conninfo: str) -> None:
    """Three generations of other users; the active one has five in each of three leaves."""
    make_read_model(conninfo, generations=3)
    for generation, each in ((1, 9), (2, 3), (3, EACH)):
        execute(conninfo, USERS, generation, PARTITIONS - 1, each)
    execute(conninfo, COUNTS)
    execute(conninfo, ATTRIBUTES)
    execute(conninfo, ATTRIBUTE_PARTITIONS, PARTITIONS - 1)


@pytest.fixture(scope="module")
def database(surroundings_of_session: Surroundings) -> Iterator[str]:
    """A filled read model that no test changes."""
    with ground(surroundings_of_session) as made:
        fill(made.conninfo)
        yield made.conninfo


@pytest.fixture
def own_database(env: Ground) -> str:
    """One that a test may change."""
    fill(env.conninfo)
    return env.conninfo


def users(
    conninfo: str,
    query: Mapping[str, str] | None = None,
    *,
    key: str = "email",
    job: int | None = None,
    **of: int,
) -> tuple[int, list[str]]:
    """The total and the ids of a page of users that a query asks for."""
    wanted = read_filter({name: [value] for name, value in (query or {}).items()}, job)
    page = sent(ask(conninfo, lambda db: UserReader(db, key).select_page(wanted, Page(**of))))
    return page["total"], [user["id"] for user in page["audience"]]


def one(conninfo: str, user_id: int) -> dict[str, Any] | None:
    """The user with this id."""
    found = ask(conninfo, lambda db: UserReader(db, "email").fetch(user_id))
    return None if found is None else sent(found)


def test_a_user_is_as_the_contract_has_it(database: str) -> None:
    """With the contract's names and dates, and attributes of their types."""
    assert one(database, (1 << 48) + 11) == {
        "id": str((1 << 48) + 11),
        "firstName": "Zoë",
        "lastName": None,
        "email": "U1@B1.co",
        "mobileNumber": "+4915100001",
        "country": "USA",
        "state": "Texas",
        "active": True,
        "smsSubscription": True,
        "emailSubscription": False,
        "voiceSubscription": True,
        "lastActiveDateStr": "08/28/2017 12:00:00 AM GMT",
        "createdDateStr": "08/28/2017 12:23:28 PM GMT",
        "lastModifiedDateStr": "08/28/2017 12:23:28 AM GMT",
        "attributes": {"tier": "gold", "Score 2": 0.5, "vip": True, "since": "2024-02-01"},
    }


@pytest.mark.parametrize("user_id", [1, 12, (1 << 48) + 61, 3 << 48, 2**63 - 1])
def test_there_is_no_user_with_another_id(database: str, user_id: int) -> None:
    """Nor one that an earlier generation had."""
    assert one(database, user_id) is None


@pytest.mark.parametrize("start", [0, 1, 2, 3, 4, 5, 7, 9, 12, 14, 15, 10**9, 2**63 - 1])
def test_users_are_paged_by_index(database: str, start: int) -> None:
    """By id, over the ends of leaves, from whichever end of a leaf is nearer."""
    assert users(database, start=start, size=4) == (15, IDS[start : start + 4])


def test_users_are_paged_by_key(database: str) -> None:
    """Those with a greater id, also where no user has that id; an index counts from there."""
    assert users(database, after=int(IDS[3]), size=3) == (15, IDS[4:7])
    assert users(database, after=int(IDS[3]) + 1, size=3) == (15, IDS[4:7])
    assert users(database, after=int(IDS[3]), start=2, size=3) == (15, IDS[6:9])
    assert users(database, after=int(IDS[-1])) == (15, [])
    assert users(database, after=2**63 - 1, start=3) == (15, [])


@pytest.mark.parametrize(
    ("query", "numbers"),
    [
        ({"email": " u2@b1.CO "}, [6]),
        ({"email": "nobody@b1.co"}, []),
        ({"mobileNumber": "+4915100002"}, [6]),
        ({"mobileNumber": " 4915100002"}, [6]),
        ({"mobileNumber": "0049 (151) 0000-2"}, [6]),
        ({"country": "usa"}, [0, 5, 10]),
        ({"state": " TEXAS "}, [0, 5, 10]),
        ({"country": "India", "email": "u1@b1.co"}, []),
        ({"country": "USA", "email": "u1@b1.co"}, [5]),
        ({"attributes.tier": "gold"}, list(range(15))),
        ({"attributes.tier": "Gold"}, []),
        ({"attributes.Score 2": "1.0"}, [1, 6, 11]),
        ({"attributes.Score 2": "+01.50"}, [2, 7, 12]),
        ({"attributes.vip": "YES"}, [0, 5, 10]),
        ({"attributes.since": "02/03/2024"}, [2, 7, 12]),
        ({"attributes.since": "2024-02-03", "attributes.tier": "gold"}, [2, 7, 12]),
        ({"attributes.since": "2024-02-03", "attributes.vip": "true"}, []),
        ({"country": "'; DROP TABLE users --"}, []),
        ({"country": "%s %(x)s {x} N"}, []),
    ],
)
def test_users_are_filtered(database: str, query: dict[str, str], numbers: list[int]) -> None:
    """Each filter compares as its field means it; of several all must fit."""
    assert users(database, query) == (len(numbers), [IDS[number] for number in numbers])


@pytest.mark.parametrize(
    ("text", "is_found"),
    [
        ("lovel", True),
        ("LOVELACE", True),
        ("àda", True),
        ("ÀDA  BYRON ", True),
        ("ron lo", True),
        ("byron@Poets", True),
        ("+44 1632 960", True),
        ("01632 / 960", True),
        ("0044 1632", True),
        ("960", True),
        ("+960", False),
        ("Lovelace Àda", False),
        ("lovelace\nbyron@", False),
        ("b_ron", False),
        ("b%n", False),
        ("by\\ron", False),
        ("100%", True),
        ("under_score", True),
        ("back\\slash", True),
        ("nobody", False),
    ],
)
def test_users_are_searched(own_database: str, text: str, is_found: bool) -> None:
    """By a part of the full name, email or number; what is special to SQL stands for itself."""
    execute(
        own_database,
        "UPDATE model.user_row SET first_name = 'Àda Byron',"
        " last_name = 'Lovelace 100%% under_score back\\slash',"
        " email = 'a.byron@poets.example', mobile_number = '+441632960960'"
        " WHERE id = %s AND generation = 3",
        int(IDS[6]),
    )
    assert users(own_database, {"search": text}) == ((1, [IDS[6]]) if is_found else (0, []))
    assert users(own_database, {"search": text, "country": "USA"}) == (0, [])


def test_a_user_without_a_last_name_is_found_by_the_first(database: str) -> None:
    """And a search that many fit is paged like any list."""
    assert users(database, {"search": "zoë"}, size=2, start=13) == (15, IDS[13:])


@pytest.mark.parametrize(
    ("key", "text"),
    [("email", " U2@b1.CO"), ("mobileNumber", "0049 151 00002"), ("tier", "  gold ")],
)
def test_a_user_is_found_by_key(own_database: str, key: str, text: str) -> None:
    """Whichever field it is, normalised as that field is."""
    value = {"email": "u2@b1.co", "mobileNumber": "+4915100002", "tier": "gold"}[key]
    execute(
        own_database,
        "UPDATE model.user_row SET key = %s WHERE id = %s AND generation = 3",
        value,
        int(IDS[6]),
    )
    assert users(own_database, {"key": text}, key=key) == (1, [IDS[6]])
    nobody = {"email": "x@b1.co", "mobileNumber": "+4915155555", "tier": "tin"}[key]
    assert users(own_database, {"key": nobody}, key=key) == (0, [])


@pytest.mark.parametrize(("key", "text"), [("mobileNumber", "ada@b.co"), ("Score 2", "many")])
def test_what_can_be_no_key_is_refused(database: str, key: str, text: str) -> None:
    """Under the name of the parameter, not of the field that is the key."""
    with pytest.raises(IngestError) as caught:
        users(database, {"key": text}, key=key)
    assert caught.value.details[0].column == "key"


def test_users_are_found_by_the_job_that_set_them_last(own_database: str) -> None:
    """Those that another set afterwards are not among them."""
    execute(own_database, "UPDATE model.user_row SET job_id = 7 WHERE id = %s", int(IDS[6]))
    execute(own_database, "UPDATE model.user_row SET job_id = 8 WHERE id = %s", int(IDS[7]))
    assert users(own_database, job=7) == (1, [IDS[6]])
    assert users(own_database, {"search": "zoë"}, job=9) == (0, [])


def test_filtered_users_are_paged(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """By index and key, with the total of all that fit, whether they are few or many."""
    for few in (1000, 3):
        monkeypatch.setattr("ingest_api.users.queries._FEW", few)
        india = [user_id for number, user_id in enumerate(IDS) if number % 5]
        query = {"country": "india"}
        assert users(database, query, size=3) == (12, india[:3])
        assert users(database, query, start=9, size=5) == (12, india[9:])
        assert users(database, query, after=int(india[4]), size=2) == (12, india[5:7])
        assert users(database, query, after=int(india[4]), start=3, size=2) == (12, india[8:10])
        assert users(database, query, start=2**62) == (12, [])


@pytest.mark.parametrize("key", ["email", "mobileNumber", "customerId"])
def test_filters_are_the_same_with_each_reconciliation_key(own_database: str, key: str) -> None:
    """Only the index that finds them is another."""
    if key == "mobileNumber":
        execute(own_database, "UPDATE model.user_row SET key = mobile_number WHERE generation = 3")
    query = {"email": "u2@b1.co", "mobileNumber": "+4915100002"}
    for name, value in query.items():
        assert users(own_database, {name: value}, key=key) == (1, [IDS[6]])


@pytest.mark.parametrize(
    ("query", "name"),
    [
        ({"attributes.colour": "red"}, "attributes.colour"),
        ({"attributes.Tier": "gold"}, "attributes.Tier"),
        ({"attributes.": "gold"}, "attributes."),
        ({"attributes.Score 2": "many"}, "attributes.Score 2"),
        ({"attributes.Score 2": "1234567890123456"}, "attributes.Score 2"),
        ({"attributes.vip": "perhaps"}, "attributes.vip"),
        ({"attributes.since": "02/30/2024"}, "attributes.since"),
        ({"attributes.tier": ""}, "attributes.tier"),
        ({"mobileNumber": "none"}, "mobileNumber"),
        ({"email": " "}, "email"),
        ({"email": "\u200b"}, "email"),
        ({"attributes.since": "\u200b"}, "attributes.since"),
        ({"search": "\t "}, "search"),
        ({"search": "a" * 201}, "search"),
        ({"key": ""}, "key"),
        ({"country": "a\0b"}, "country"),
    ],
)
def test_a_filter_that_cannot_be_is_refused(
    database: str, query: dict[str, str], name: str
) -> None:
    """With 400, naming it."""
    with pytest.raises(IngestError) as caught:
        users(database, query)
    assert status_of(type(caught.value)) == 400
    assert [detail.column for detail in caught.value.details] == [name]


def test_there_may_be_no_user_yet(own_database: str) -> None:
    """Because there is no generation, or no read model at all; a wrong filter is refused still."""
    for statement in (
        "UPDATE model.projection SET active_generation = NULL",
        "DELETE FROM model.projection",
        "DROP SCHEMA model CASCADE",
    ):
        execute(own_database, statement)
        assert users(own_database) == (0, [])
        assert users(own_database, {"country": "India"}) == (0, [])
        assert one(own_database, int(IDS[0])) is None
        with pytest.raises(IngestError, match="Invalid request parameter"):
            users(own_database, {"attributes.colour": "red"})


def test_statements_are_planned_for_the_active_generation_alone(own_database: str) -> None:
    """However many are kept: one whose tables are locked holds up no page."""
    with psycopg.connect(own_database) as connection:
        connection.execute("LOCK TABLE model.user_row_g1, model.user_row_g2")
        queries: list[dict[str, str]] = [{}, {"country": "India"}, {"email": "u2@b1.co"}]
        for query in queries:
            assert users(own_database, query, size=1)[1]
        assert users(own_database, start=12, size=3) == (15, IDS[12:])
        assert one(own_database, int(IDS[0]))
