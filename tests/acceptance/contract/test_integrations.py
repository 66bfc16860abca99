"""Contract, additions: what programs beside a browser's form ask of HTTP."""

from __future__ import annotations

import gzip
import re
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from tests.support.clients.speech import BASE, DATE, IMPORT, Server, file, line

if TYPE_CHECKING:
    from collections.abc import Mapping

    import httpx2

    from tests.support.servers.rig import Rig

CSV = {"Content-Type": "text/csv; charset=utf-8"}
RFC_3339 = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
ORIGIN = "https://crm.example.org"


@pytest.mark.parametrize(
    ("packed", "headers", "query"),
    [
        (False, CSV, {}),
        (False, {"Content-Type": "application/octet-stream"}, {"fileName": "crm.csv"}),
        (True, CSV | {"Content-Encoding": "gzip"}, {}),
        (True, {"Content-Type": "application/gzip"}, {"fileName": "crm.csv.gz"}),
    ],
    ids=["csv", "named", "in a coding", "packed"],
)
def test_a_file_is_uploaded_without_a_form(
    server: Server, name: str, packed: bool, headers: Mapping[str, str], query: Mapping[str, str]
) -> None:
    """Its options stand in the query, and the job shows it by the name that the query gives."""
    content = file(line(f"{name}@example.org", first_name="Zo\u00eb")).encode()
    body = gzip.compress(content) if packed else content
    options = {"importType": "upsert", **query}
    answer = server.http.post(IMPORT, content=body, headers=headers, params=options)
    assert answer.status_code == 200, answer.text
    status = server.ended(answer.json()["id"])
    assert (status["inserted"], status["mode"]) == (1, "upsert")
    assert status["fileName"] == query.get("fileName", "upload.csv")
    user = server.user(f"{name}@example.org")
    assert user is not None
    assert user["firstName"] == "Zo\u00eb"


def test_the_name_of_a_file_is_said_once(server: Server) -> None:
    """Of a form its part says it; nothing is kept of an upload whose query does too."""
    answer = server.upload(file(line("a@example.org")), query={"fileName": "crm.csv"})
    assert (answer.status_code, answer.json()["details"][0]["column"]) == (400, "fileName")
    named = {"fileName": ["a.csv", "b.csv"]}
    answer = server.http.post(IMPORT, content=b"", headers=CSV, params=named)
    assert (answer.status_code, answer.json()["details"][0]["column"]) == (400, "fileName")


def test_a_new_job_and_a_new_user_say_where_they_are(server: Server, name: str) -> None:
    """The address is one that can be asked at once."""
    taken = server.upload(file(line(f"{name}@example.org")))
    assert server.http.get(taken.headers["Location"]).json()["id"] == taken.json()["id"]
    fields = {"firstName": "A", "lastName": "B", "email": f"{name}-2@example.org", "country": "C"}
    added = server.http.post(f"{BASE}/audience", json=fields)
    assert server.http.get(added.headers["Location"]).json()["id"] == added.json()["id"]


def test_dates_are_written_as_they_are_asked_for(server: Server, name: str) -> None:
    """By RFC 3339, or as ever: also where both are asked for at one time."""
    server.imported(file(line(f"{name}@example.org", last_active_date="06/28/2016")))
    url, query = f"{BASE}/audience", {"email": f"{name}@example.org"}

    def read(form: str) -> httpx2.Response:
        return server.http.get(url, params={**query, "dateFormat": form})

    with ThreadPoolExecutor(8) as threads:
        forms = ["iso", "contract"] * 20
        users = [answer.json()["audience"][0] for answer in threads.map(read, forms)]
    found = list(zip(forms, users, strict=True))
    for form, user in found:
        day = "2016-06-28" if form == "iso" else "06/28/2016 12:00:00 AM GMT"
        assert user["lastActiveDateStr"] == day
        assert (RFC_3339 if form == "iso" else DATE).fullmatch(user["createdDateStr"])
    created = datetime.fromisoformat(found[0][1]["createdDateStr"])
    assert abs(datetime.now(UTC) - created) < timedelta(days=1)
    plain = server.http.get(url, params=query).json()["audience"][0]
    assert plain == found[1][1]
    refused = server.http.get(url, params={"dateFormat": "ISO"})
    assert (refused.status_code, refused.json()["details"][0]["column"]) == (400, "dateFormat")


def test_a_page_leads_to_the_next(server: Server, name: str) -> None:
    """By its link, with the same filters, to the last entry and no further."""
    server.imported(file(*(line(f"{name}{n}@example.org", country=name) for n in range(5))))
    url, seen = f"{BASE}/audience?country={name}&pageSize=2", list[str]()
    while url:
        answer = server.http.get(url)
        seen += [user["email"] for user in answer.json()["audience"]]
        url = answer.links.get("next", {}).get("url", "")
    assert sorted(seen) == [f"{name}{n}@example.org" for n in range(5)]
    first = server.http.get(f"{BASE}/batchinfo/status", params={"pageSize": 1})
    second = server.http.get(first.links["next"]["url"]).json()
    assert (
        second["statuses"]
        == server.http.get(f"{BASE}/batchinfo/status", params={"pageSize": 1, "start": 1}).json()[
            "statuses"
        ]
    )
    everything = server.http.get(f"{BASE}/batchinfo/status", params={"pageSize": 1000})
    assert "next" not in everything.links


def test_pages_of_other_origins_may_call_where_that_is_set(contract_rig: Rig) -> None:
    """They are let in by a preflight without credentials; others aren't, and by default none."""
    asked = {
        "Origin": ORIGIN,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization,idempotency-key",
    }
    closed = contract_rig.client.http.options(IMPORT, headers=asked)
    assert "Access-Control-Allow-Origin" not in closed.headers
    api, client = contract_rig.services.api(cors_origins=ORIGIN)
    with Server(client.url, ("admin", contract_rig.env.password)) as open_server:
        allowed = open_server.http.options(IMPORT, headers=asked)
        assert allowed.status_code == 200
        assert allowed.headers["Access-Control-Allow-Origin"] == ORIGIN
        assert "authorization" in allowed.headers["Access-Control-Allow-Headers"]
        answer = open_server.http.get(f"{BASE}/audience", headers={"Origin": ORIGIN})
        assert answer.headers["Access-Control-Allow-Origin"] == ORIGIN
        assert "Access-Control-Allow-Credentials" not in answer.headers
        assert "Link" in answer.headers["Access-Control-Expose-Headers"]
        asked["Origin"] = "https://elsewhere.example.org"
        assert open_server.http.options(IMPORT, headers=asked).status_code == 400
    client.close()
    api.kill()
