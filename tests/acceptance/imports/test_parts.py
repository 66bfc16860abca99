"""A file that is sent in parts, over HTTP; no processor runs."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import httpx2

from tests.support.clients.client import BASE
from tests.support.clients.raw_http import CSV, import_parts, jobs, part_of

if TYPE_CHECKING:
    from tests.support.clients.client import Client


def test_a_file_is_sent_by_parts_that_are_named_again_and_again(client: Client) -> None:
    """It is the same file as one that comes whole; each part is named by who sent it alone."""
    first, second = part_of(client.http, CSV[:50]), part_of(client.http, CSV[50:])
    before = jobs(client)
    taken = import_parts(client.http, first, second, fileName="by parts.csv")
    assert taken.status_code == 200, taken.text
    status = client.status(int(taken.json()["id"]))
    assert (status["sha256"], status["fileName"]) == (
        hashlib.sha256(CSV).hexdigest(),
        "by parts.csv",
    )
    whole = client.upload(CSV, "insert", headers={"Idempotency-Key": "by parts"})
    assert whole.json()["id"] == import_parts(client.http, first, second).json()["id"]
    assert whole.json()["id"] == taken.json()["id"]
    assert import_parts(client.http, second, first).status_code == 409
    other = {"name": "who sent none", "role": "importer", "password": "correct horse"}
    assert client.http.post(f"{BASE}/admin/accounts", json=other).is_success
    with httpx2.Client(base_url=client.url, auth=("who sent none", "correct horse")) as stranger:
        answers = [import_parts(stranger, first, second), import_parts(client.http, "x", second)]
    codes = [answer.json()["details"][0]["code"] for answer in answers]
    assert codes == ["PART_LOST", "PART_UNKNOWN"]
    assert jobs(client) == before + 1
