"""Who has opted out stays so, whatever a file says, unless an administrator's file applies it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import httpx2
import pytest

from deploy.log_migration import MoveRefusedError
from deploy.log_migration.erase.erase import erase
from deploy.log_migration.rekey.rekey import RekeyRequest, rekey
from processor.verification.verify import verify_active
from tests.support.clients.client import BASE, counts
from tests.support.clients.single_users import delete, history
from tests.support.models.verdict import select

if TYPE_CHECKING:
    from tests.support.servers.rig import Rig

_HEADER = "First Name,Last Name,Email,Mobile Number,Country,Email Subscription"
_NUMBERS = {
    name: f"+4915112345{number}" for number, name in enumerate(("ada", "eve", "kim", "liz"), 678)
}
_REASON = (
    "Email Subscription stays false, because this person has opted out: only optIns=apply sets it"
    " to true."
)


def _file(*lines: tuple[str, str]) -> bytes:
    """Users by name, each with its email subscription."""
    rows = [f"{name},L,{name}@example.com,{_NUMBERS[name]},France,{email}" for name, email in lines]
    return "\n".join([_HEADER, *rows]).encode()


def _opted_in(rig: Rig) -> dict[str, bool]:
    rows = select(rig.env, "SELECT key, email_subscription AS email FROM users")
    return {row["key"].partition("@")[0]: row["email"] for row in rows}


def _dry_run(rig: Rig, content: bytes, **query: str) -> Any:
    answer = rig.client.http.post(
        f"{BASE}/audience/import",
        params={"dryRun": "true", **query},
        files={"uploadFile": ("users.csv", content)},
    )
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_an_upsert_and_a_delsert_keep_opt_outs(rig: Rig) -> None:
    """Each cell that would have opted somebody in is counted and listed, in the dry run too."""
    rig.run(_file(("ada", "no"), ("eve", "yes"), ("kim", "no")))
    file = _file(("ada", "yes"), ("eve", "no"), ("kim", ""))
    assert _dry_run(rig, file, importType="upsert")["notedBy"] == [
        {"code": "OPT_OUT_KEPT", "column": "Email Subscription", "count": 1}
    ]
    changed = rig.run(file, "upsert")
    assert (counts(changed), changed["notes"]) == ((0, 1, 2, 0), 1)
    notes = rig.client.http.get(f"{BASE}/batchinfo/notes/{changed['id']}").json()
    assert notes == {
        "total": 1,
        "notes": [
            {
                "line": 2,
                "column": "Email Subscription",
                "code": "OPT_OUT_KEPT",
                "reason": _REASON,
                "value": None,
            }
        ],
    }
    file = _file(("ada", "yes"), ("eve", ""), ("liz", "yes"))
    replaced = rig.run(file, "delsert")
    assert _opted_in(rig) == {"ada": False, "eve": False, "liz": True}
    assert replaced["notes"] == 2
    again = rig.run(_file(("kim", "yes")))
    assert (again["notes"], _opted_in(rig)["kim"]) == (1, False), "deleted by the delsert"
    (kim,) = select(rig.env, "SELECT id FROM users WHERE key = 'kim@example.com'")
    (created,) = history(rig.client, str(kim["id"]))["history"]
    assert created["optOutsKept"] == ["emailSubscription"]
    assert created["changes"]["emailSubscription"] == {"before": None, "after": False}
    rig.assert_as_modelled()


def test_an_opt_out_outlives_its_user(rig: Rig) -> None:
    """Also where the user was deleted by hand; what is said by hand counts as it is said."""
    rig.run(_file(("ada", "no"), ("eve", "no")))
    for row in select(rig.env, "SELECT id FROM users"):
        delete(rig.client, str(row["id"]))
    assert _opted_in(rig) == {}
    ada = _dry_run(rig, _file(("ada", "yes")))
    assert ada["notedBy"][0]["count"] == 1
    assert rig.run(_file(("ada", "yes")))["notes"] == 1
    by_hand = {"firstName": "eve", "lastName": "L", "email": "eve@example.com", "country": "France"}
    rig.client.http.post(f"{BASE}/audience", json=by_hand).raise_for_status()
    assert _opted_in(rig) == {"ada": False, "eve": True}
    rig.assert_as_logged()


def test_an_administrators_file_opts_in(rig: Rig) -> None:
    """With optIns=apply; others are refused, and with the same key it is another content."""
    rig.run(_file(("ada", "no")))
    file = {"uploadFile": ("users.csv", _file(("ada", "yes")))}
    url, query = f"{BASE}/audience/import", {"importType": "upsert", "optIns": "apply"}
    made = rig.client.http.post(f"{BASE}/admin/tokens", json={"name": "file", "role": "manager"})
    bearer = {"Authorization": f"Bearer {made.json()['token']}"}
    refused = httpx2.post(
        rig.client.url + url, params=query, files=file, headers=bearer, trust_env=False
    )
    assert (refused.status_code, refused.json()) == (
        403,
        {"message": "The role admin is needed for this request", "code": "ROLE_TOO_LOW"},
    )
    key = {"Idempotency-Key": "one"}
    kept = rig.client.http.post(url, params={"importType": "upsert"}, files=file, headers=key)
    assert kept.status_code == 200
    assert rig.wait_ended(int(kept.json()["id"]))["notes"] == 1
    assert rig.client.http.post(url, params=query, files=file, headers=key).status_code == 409
    applied = rig.client.http.post(url, params=query, files=file)
    assert rig.wait_ended(int(applied.json()["id"]))["notes"] == 0
    assert _opted_in(rig) == {"ada": True}


def test_an_opt_out_outlives_erasure_and_a_move(rig: Rig) -> None:
    """By a hash of the key, in whichever partition; another key is refused, unless it forgets."""
    rig.run(_file(("ada", "no"), ("eve", "no"), ("kim", "yes")))
    ada = "ada@example.com"
    erase(rig.env.settings, ada, keeps_old=False, report=lambda _text: None)
    rekey(rig.env.settings, RekeyRequest(partitions=5), report=lambda _text: None)
    rig.wait_ready()
    again = rig.run(_file(("ada", "yes"), ("kim", "yes")), "upsert")
    assert (again["notes"], _opted_in(rig)) == (1, {"ada": False, "eve": False, "kim": True})
    assert verify_active(rig.env.settings).is_proven
    erase(rig.env.settings, ada, keeps_old=False, report=lambda _text: None)
    with pytest.raises(MoveRefusedError, match="--forget-erased"):
        rekey(rig.env.settings, RekeyRequest(key="mobileNumber"), report=lambda _text: None)
    rig.wait_ready()
    assert rig.run(_file(("ada", "yes")), "upsert")["notes"] == 1
    assert _opted_in(rig) == {"ada": False, "eve": False, "kim": True}
