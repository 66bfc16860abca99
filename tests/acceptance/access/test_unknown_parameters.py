"""What a request does not take is refused by every route, and nothing of the request is kept."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from tests.support.clients.client import BASE
from tests.support.clients.description import operations

if TYPE_CHECKING:
    from tests.support.servers.gate import Gate

FILE = b"First Name,Last Name,Email,Country\nAda,Lovelace,ada@nowhere.example,India\n"


def test_every_route_refuses_an_unknown_parameter(gate: Gate) -> None:
    """It is named; what a browser adds against caches is none."""
    for name, _ in operations():
        method, _, path = name.partition(" ")
        url = re.sub(r"\{\w+\}", "5", path)
        answer = gate.admin.request(method, f"{url}?nonsense=1&_=1735")
        assert answer.status_code == 400, f"{name}: {answer.status_code} {answer.text}"
        (detail,) = answer.json()["details"]
        assert (detail["code"], detail["column"]) == ("UNKNOWN_PARAMETER", "nonsense"), name


def test_a_role_that_is_too_low_is_told_first(gate: Gate) -> None:
    """Whoever may not call a route learns nothing of its parameters."""
    _, token = gate.add_token("who asks for more", "reader")
    assert gate.get(bearer=token, path=f"{BASE}/admin/accounts?nonsense=1").status_code == 403
    assert gate.get(bearer=token, path=f"{BASE}/audience?nonsense=1").status_code == 400
    assert gate.get(path=f"{BASE}/audience?nonsense=1").status_code == 401


@pytest.mark.parametrize(
    ("field", "meant"),
    [
        ("dry_run", "dryRun"),
        ("dryrun", "dryRun"),
        ("import_type", "importType"),
        ("delimiter", "DELIMITER"),
        ("blank_cells", "blankCells"),
    ],
)
def test_an_import_with_a_misspelt_field_keeps_nothing(gate: Gate, field: str, meant: str) -> None:
    """Before the file, after it, or in the query: it is named with what was meant."""
    total = gate.client.statuses()["total"]
    url = f"{BASE}/audience/import"
    file = ("uploadFile", ("f.csv", FILE))
    option = (field, (None, "true"))
    answers = [
        gate.admin.post(url, files=[option, file]),
        gate.admin.post(url, files=[file, option]),
        gate.admin.post(f"{url}?{field}=true", files=[file]),
    ]
    for answer in answers:
        assert answer.status_code == 400, answer.text
        assert answer.json()["message"] == "Please upload a valid CSV file"
        (detail,) = answer.json()["details"]
        assert (detail["code"], detail["column"]) == ("UNKNOWN_PARAMETER", field)
        assert detail["message"].endswith(f"{field}: do you mean {meant}?")
    assert gate.client.statuses()["total"] == total


def test_what_forms_of_html_add_is_passed_over(gate: Gate) -> None:
    """The charset of the page, and the button that was pressed."""
    files = [
        ("_charset_", (None, "UTF-8")),
        ("uploadFile", ("f.csv", FILE)),
        ("submit", (None, "Upload")),
    ]
    assert gate.admin.post(f"{BASE}/audience/import", files=files).status_code == 200


def test_the_header_of_the_delimiter_has_no_case(gate: Gate) -> None:
    """It is a header; the field of that name has one."""
    content = FILE.replace(b",", b";")
    for header in ("DELIMITER", "delimiter", "Delimiter"):
        answer = gate.client.upload(content, headers={header: "SEMI_COLON"})
        assert answer.status_code == 200, answer.text
