"""Custom attributes defined over HTTP, the same in every partition whatever dies."""

from __future__ import annotations

import contextlib
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import httpx2
import pytest

from tests.support.clients.client import BASE
from tests.support.clients.single_users import (
    ANA,
    added,
    create,
    define,
    delete,
    details,
    history,
    modify,
    users,
)
from tests.support.models.verdict import select
from tests.support.servers.rig import Rig
from tests.support.servers.services import Services
from tests.support.servers.surroundings import ground
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.clients.client import Client
    from tests.support.servers.surroundings import Surroundings


def test_attributes_are_defined_once_and_then_used(rig: Rig) -> None:
    """By single users and files alike, typed in the table."""
    assert define(rig.client, "tier").json() == {
        "name": "tier",
        "message": "Attribute added successfully",
    }
    assert define(rig.client, "score", "number", isIndexed=False).status_code == 200
    assert define(rig.client, "tier").status_code == 200
    answer = define(rig.client, "tier", "number")
    assert answer.status_code == 409
    assert "already defined otherwise: type string" in answer.json()["message"]
    assert details(define(rig.client, "TIER")) == [("name", "NAME_TAKEN")]
    assert details(define(rig.client, "tier!")) == [("name", "NAME_INVALID")]
    assert details(define(rig.client, "x", isReconciliationKey=True)) == [
        ("isReconciliationKey", "NOT_THE_KEY")
    ]
    listed = rig.client.http.get(f"{BASE}/admin/attributes").json()
    assert listed["total"] == 2
    assert {key: listed["attributes"][1][key] for key in ("name", "type", "isIndexed")} == {
        "name": "score",
        "type": "number",
        "isIndexed": False,
    }
    assert listed["attributes"][0]["definedBy"] == "admin"
    user_id = added(rig.client, ANA | {"attributes": {"tier": "gold", "score": 1.50}})
    rig.run(b"Email,Tier\nana@example.org,silver\n", "upsert")
    assert users(rig.env)[0]["attributes"] == {"tier": "silver", "score": 1.5}
    assert modify(rig.client, user_id, {"attributes": {"score": None}}).status_code == 200
    assert users(rig.env)[0]["attributes"] == {"tier": "silver"}


def test_of_two_definitions_at_once_one_wins_everywhere(rig: Rig, other: Client) -> None:
    """The other is told so, by whichever instance, and every partition has the same."""
    kinds = ("string", "number")
    for number in range(6):
        name = f"attribute {number}"
        with ThreadPoolExecutor(2) as pool:
            answers = list(pool.map(define, (rig.client, other), (name, name), kinds))
        codes = [answer.status_code for answer in answers]
        assert sorted(codes) == [200, 409]
        winner = kinds[codes.index(200)]
        shown = select(rig.env, f"SELECT type FROM attributes WHERE name = '{name}'")
        assert shown == [{"type": winner}]


def test_a_definition_that_a_crash_cut_short_is_completed_by_the_same_request(rig: Rig) -> None:
    """Nothing may use it before every partition knows it."""
    rig.processors[0].freeze()
    with ThreadPoolExecutor(1) as pool:
        cut = pool.submit(define, rig.client, "tier")
        wait_until(lambda: rig.published() == 1, 20)
        rig.api.kill()
        with pytest.raises(httpx2.TransportError):
            cut.result(60)
    rig.processors[0].thaw()
    rig.restart_api()
    wait_until(lambda: select(rig.env, "SELECT name FROM attribute_definitions"), 30)
    assert select(rig.env, "SELECT name FROM attributes") == []
    assert details(create(rig.client, ANA | {"attributes": {"tier": "gold"}})) == [
        ("attributes.tier", "UNKNOWN_FIELD")
    ]
    assert define(rig.client, "tier", "number").status_code == 409
    assert define(rig.client, "tier").status_code == 200
    added(rig.client, ANA | {"attributes": {"tier": "gold"}})


def test_an_attribute_may_tell_users_apart(
    surroundings_of_session: Surroundings, tmp_path: Path
) -> None:
    """Once it is defined; until then nobody can be added, and it says so."""
    with (
        ground(surroundings_of_session, reconciliation_key="memberId") as env,
        Services(env.environ, tmp_path) as services,
        contextlib.closing(Rig.start(env, services)) as rig,
    ):
        ana = ANA | {"attributes": {"memberId": " 007 "}}
        assert create(rig.client, ana).status_code == 503
        answer = define(rig.client, "memberId", "number")
        assert details(answer) == [("isReconciliationKey", "NOT_THE_KEY")]
        answer = define(rig.client, "memberId", "number", isReconciliationKey=True)
        assert answer.status_code == 200
        user_id = added(rig.client, ana)
        assert [user["key"] for user in users(env)] == ["7"]
        assert details(create(rig.client, ANA)) == [("attributes.memberId", "KEY_MISSING")]
        again = create(rig.client, ANA | {"attributes": {"memberId": 7}})
        assert again.json()["message"] == "memberId is being used for one of the audience members."
        assert details(again) == [("attributes.memberId", "KEY_EXISTS")]
        changes = {"email": "eve@example.org", "attributes": {"memberId": 7.0}}
        assert modify(rig.client, user_id, changes).status_code == 200
        answer = modify(rig.client, user_id, {"attributes": {"memberId": 8}})
        assert details(answer) == [("attributes.memberId", "KEY_CHANGED")]
        assert history(rig.client, user_id)["total"] == 2
        assert delete(rig.client, user_id).status_code == 200
        assert users(env) == []
