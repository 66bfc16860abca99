"""A file that is sent in parts, over HTTP; no processor runs."""

from __future__ import annotations

import base64
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


def test_a_part_in_a_content_encoding_is_refused(client: Client) -> None:
    """Else its packed bytes would be taken for those of the file."""
    headers = {"Content-Type": "application/octet-stream", "Content-Encoding": "gzip"}
    path = f"{BASE}/audience/parts"
    assert client.http.post(path, content=CSV, headers=headers).status_code == 415


def test_a_name_that_was_made_up_is_refused_at_once(client: Client) -> None:
    """One that comes twice, one of offsets or sizes that no part has, one that begins elsewhere."""
    mine = part_of(client.http, CSV)
    other = part_of(client.http, CSV)
    packed = bytearray(base64.urlsafe_b64decode(mine + "=="))

    def made_up(at: int, value: bytes) -> str:
        forged = packed[:at] + value + packed[at + len(value) :]
        return base64.urlsafe_b64encode(forged).decode().rstrip("=")

    attempt_of_other = base64.urlsafe_b64decode(other + "==")[:8]
    for names, code in (
        ((mine, mine), "PART_UNKNOWN"),
        ((made_up(10, b"\xff" * 8),), "PART_UNKNOWN"),  # the first offset
        ((made_up(26, b"\0\0"),), "PART_UNKNOWN"),  # the number of chunks
        ((made_up(28, b"\0" * 4),), "PART_UNKNOWN"),  # the size
        ((made_up(0, attempt_of_other),), "PART_LOST"),
    ):
        answer = import_parts(client.http, *names)
        assert (answer.status_code, answer.json()["details"][0]["code"]) == (400, code), names
