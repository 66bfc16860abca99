"""Excel workbooks over HTTP and on the command line: imported, inspected, refused."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

import pytest

from tests.support.clients.shell import Shell
from tests.support.data.corpus.workbooks import workbook
from tests.support.models.verdict import select

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.servers.rig import Rig

pytest.importorskip("python_calamine")


def test_a_workbook_is_imported(rig: Rig, tmp_path: Path) -> None:
    """Its dates and booleans as such; faults are told by the sheet's rows; once per key."""
    head = ("Email", "First Name", "Last Name", "Country", "Last Active Date", "SMS Subscription")
    rows = [
        head,
        ("ada@example.com", "Ada", 1815, "UK", date(2024, 2, 29), False),
        (),
        ("nobody", "No", "Address", "UK"),
    ]
    path = tmp_path / "users.xlsx"
    path.write_bytes(workbook({"Notes": [("x",)], "Users": rows}))
    shell = Shell(rig, tmp_path)
    asked = ("import", str(path), "--sheet", "users", "--idempotency-key", "one")
    done = shell.run(*asked)
    assert "2 lines: 1 inserted, 0 updated, 0 unchanged, 1 rejected" in done.stdout, done.stderr
    assert shell.run(*asked).stdout.split(":")[0] == done.stdout.split(":")[0]
    status = rig.client.http.get("/vpns/api/v1/batchinfo/status").json()
    assert (status["total"], status["statuses"][0]["fileName"]) == (1, "users.xlsx")
    (error,) = rig.client.errors(int(status["statuses"][0]["id"]))
    assert (error["line"], error["column"]) == (4, "Email")
    query = "SELECT last_name, last_active_date::text AS day, sms_subscription FROM users"
    assert select(rig.env, query) == [
        {"last_name": "1815", "day": "2024-02-29", "sms_subscription": False}
    ]
    assert "Users" in shell.run("import", str(path), "--sheet", "Nobody").stderr
    inspected = shell.run("inspect", str(path), "--sheet", "2")
    assert inspected.returncode < 2, inspected.stderr
    assert "Last Active Date" in inspected.stdout
