"""Contract, Rollcall's own: what every client may ask of the service itself."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from tests.support.clients.speech import BASE

if TYPE_CHECKING:
    from tests.support.clients.speech import Server


@pytest.mark.parametrize(
    "path", ["/health/live", "/health/ready", "/docs", "/docs/guide", "/openapi.json"]
)
def test_anybody_may_ask(stranger: Server, path: str) -> None:
    """200, without credentials."""
    assert stranger.http.get(path).status_code == 200


def test_the_viewer_needs_no_network(stranger: Server) -> None:
    """All that its page asks for comes from here, and nothing else may."""
    page = stranger.http.get("/docs")
    assert page.headers["Content-Type"].startswith("text/html")
    policy = page.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "//" not in page.text.replace("<!doctype html>", "")
    for path in ("swagger-ui.css", "swagger-ui-bundle.js", "viewer.js"):
        answer = stranger.http.get(f"/docs/{path}")
        assert (answer.status_code, bool(answer.content)) == (200, True)
        known = {"If-None-Match": answer.headers["ETag"]}
        assert stranger.http.get(f"/docs/{path}", headers=known).status_code == 304
    for path in ("..%2Fapplication.py", "swagger-ui.js.map", "openapi-3.0.json", "nothing"):
        assert stranger.http.get(f"/docs/{path}").status_code in {401, 404}


def test_every_link_of_the_guide_leads_to_a_page(stranger: Server) -> None:
    """From its index to all pages, whatever folder they stand in; what is no page of it is none."""
    found, seen = {"/docs/guide/index.md"}, set[str]()
    while left := found - seen:
        path = left.pop()
        seen.add(path)
        page = stranger.http.get(path)
        assert (page.status_code, page.headers["Content-Type"][:9]) == (200, "text/html"), path
        found |= set(re.findall(r'href="(/docs/guide/[^"#]+)', page.text))
    assert {"/docs/guide/tutorial.md", "/docs/guide/design/log.md"} <= seen
    for path in ("none.md", "..%2FREADME.md", "%2Fetc%2Fpasswd", "design"):
        assert stranger.http.get(f"/docs/guide/{path}").status_code == 404


def test_every_answer_says_its_request(server: Server) -> None:
    """Each by an id of its own."""
    answers = [server.http.get(f"{BASE}/audience") for _ in range(3)]
    assert len({answer.headers["X-Request-Id"] for answer in answers}) == 3


def test_an_attribute_is_defined_once(server: Server, name: str) -> None:
    """The same definition again is the same answer, another one a conflict; it is then a column."""
    attribute = "a" + name.replace("-", "")
    body = {"name": attribute, "type": "string"}
    path = f"{BASE}/admin/attributes"
    for _ in range(2):
        answer = server.http.post(path, json=body)
        assert answer.status_code == 200, answer.text
        assert answer.json() == {"name": attribute, "message": "Attribute added successfully"}
    assert server.http.post(path, json=body | {"type": "number"}).status_code == 409
    content = f"First Name,Last Name,Email,Country,{attribute}\nA,B,{name}@example.org,C,gold\n"
    assert server.imported(content)["inserted"] == 1
    found = server.users(**{f"attributes.{attribute}": "gold"})
    assert [user["attributes"] for user in found["audience"]] == [{attribute: "gold"}]
