"""Custom attributes as columns of files, and as what tells users apart."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from schemas.events import AttributeColumn
from tests.support.clients.client import counts
from tests.support.clients.raw_http import INVALID
from tests.support.clients.single_users import define
from tests.support.data.corpus.values import ATTRIBUTES, ATTRIBUTES_REFUSED, ATTRIBUTES_TAKEN, TIDY
from tests.support.data.files import csv_of
from tests.support.data.log_reading import accepted_jobs
from tests.support.models.verdict import select
from tests.support.servers.rig import Rig
from tests.support.servers.services import Services

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.servers.surroundings import Ground

COLUMNS = [*TIDY, *ATTRIBUTES]


@pytest.fixture
def rig_by_badge(env: Ground, tmp_path: Path) -> Iterator[Rig]:
    """An installation that tells users apart by a custom attribute."""
    environ = {**env.environ, "ROLLCALL_RECONCILIATION_KEY": "Badge"}
    with Services(environ, tmp_path) as services:
        started = Rig.start(env, services)
        yield started
        started.close()


def define_all(rig: Rig) -> None:
    """The attributes of the corpus."""
    for name, kind in ATTRIBUTES.items():
        assert define(rig.client, name, kind).status_code == 200


def attributes_of(rig: Rig) -> dict[str, dict[str, object]]:
    """What each user has of them, by email."""
    rows = select(rig.env, "SELECT email, attributes FROM users")
    return {row["email"]: row["attributes"] for row in rows}


def test_a_file_has_columns_of_attributes(rig: Rig) -> None:
    """Matched by name as the fields are, refused by type, stored typed, cleared where told so."""
    content = csv_of(
        {"Badge": "b1", "Shoe Size": "42.50", "VIP": "yes", "Born-on": "2/9/2024"}, headers=COLUMNS
    ).replace(b'"Shoe Size"', b'"SHOE_size"')
    unknown = rig.client.upload(content)
    define_all(rig)

    inserted = rig.run(content)
    (job,) = accepted_jobs(rig.env.settings)
    clearing = csv_of({"Badge": "", "Shoe Size": "1"}, headers=["Email", "Badge", "Shoe Size"])
    kept = rig.run(clearing, "upsert")
    after_kept = attributes_of(rig)
    cleared = rig.wait_ended(
        int(rig.client.upload(clearing, "upsert", fields={"blankCells": "clear"}).json()["id"])
    )

    assert (unknown.status_code, unknown.json()["message"]) == (400, INVALID)
    assert unknown.json()["details"][0]["code"] == "UNKNOWN_COLUMN"
    assert [counts(status)[:2] for status in (inserted, kept, cleared)] == [(1, 0), (0, 1), (0, 1)]
    assert job.header == content.decode().split("\r\n")[0]
    assert set(job.attributes) == {AttributeColumn(name, kind) for name, kind in ATTRIBUTES.items()}
    typed = {"Badge": "b1", "Shoe Size": 1, "VIP": True, "Born-on": "2024-02-09"}
    assert after_kept == {"ada@example.com": typed}
    del typed["Badge"]
    assert attributes_of(rig) == {"ada@example.com": typed}


def test_values_of_attributes_are_rejections_or_canonical(rig: Rig) -> None:
    """The whole corpus from end to end."""
    define_all(rig)
    refused = [
        {"Email": f"bad{number}@example.com", name: cell}
        for number, (name, cell, _) in enumerate(ATTRIBUTES_REFUSED)
    ]
    taken = [
        {"Email": f"good{number}@example.com", name: cell}
        for number, (name, cell, _) in enumerate(ATTRIBUTES_TAKEN)
    ]

    status = rig.run(csv_of(*refused, *taken, headers=COLUMNS))
    errors = rig.client.errors(int(status["id"]))

    assert counts(status) == (len(taken), 0, 0, len(refused))
    assert [(error["column"], error["code"]) for error in errors] == [
        (name, code) for name, _, code in ATTRIBUTES_REFUSED
    ]
    rows = select(rig.env, "SELECT email, a.key, a.value FROM users, jsonb_each_text(attributes) a")
    assert {row["email"]: (row["key"], row["value"]) for row in rows} == {
        f"good{number}@example.com": (name, text)
        for number, (name, _, text) in enumerate(ATTRIBUTES_TAKEN)
    }


def test_an_attribute_tells_users_apart(rig_by_badge: Rig) -> None:
    """Before it is defined nothing is taken; then its values are the keys."""
    rig = rig_by_badge
    lines = [{"Badge": "b1"}, {"Badge": " b2 "}, {"Badge": "b1"}, {"Badge": ""}, {"Badge": "B1"}]
    content = csv_of(*lines, headers=[*TIDY, "Badge"])
    undefined = rig.client.upload(content)
    assert define(rig.client, "Badge", isReconciliationKey=True).status_code == 200

    inserted = rig.run(content)
    again = rig.run(
        csv_of({"Badge": "b2", "First Name": "Eve"}, headers=[*TIDY, "Badge"]), "upsert"
    )
    without = rig.client.upload(csv_of({}))

    detail = undefined.json()["details"][0]
    assert (undefined.status_code, undefined.json()["message"]) == (400, INVALID)
    assert (detail["code"], detail["column"]) == ("KEY_ATTRIBUTE_UNDEFINED", "Badge")
    assert counts(inserted) == (3, 0, 0, 2)
    codes = [error["code"] for error in rig.client.errors(int(inserted["id"]))]
    assert codes == ["DUPLICATE_IN_FILE", "KEY_MISSING"]
    assert counts(again) == (0, 1, 0, 0)
    rows = select(rig.env, "SELECT key, first_name FROM users ORDER BY key")
    assert sorted((row["key"], row["first_name"]) for row in rows) == [
        ("B1", "Ada"),
        ("b1", "Ada"),
        ("b2", "Eve"),
    ]
    assert without.json()["details"][0]["code"] == "KEY_COLUMN_MISSING"


def test_an_error_file_is_uploaded_again_as_it_is(rig: Rig) -> None:
    """Its added columns are ignored, and the apostrophes before formulas taken off."""
    headers = [*TIDY, "Error Line", "Error Code", "Error Reason"]
    line = {"First Name": "'=1+1", "Last Name": "'Abbas", "Mobile Number": "'+14155550101"}

    status = rig.run(csv_of(line | {"Error Line": "7", "Error Code": "X"}, headers=headers))

    assert counts(status) == (1, 0, 0, 0)
    rows = select(rig.env, "SELECT first_name, last_name, mobile_number FROM users")
    assert rows == [{"first_name": "=1+1", "last_name": "'Abbas", "mobile_number": "+14155550101"}]
