"""Options under a name are those of uploads that name it, and of a job they stay what they were."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.support.clients.client import BASE
from tests.support.clients.shell import Shell
from tests.support.data.exports import FOLDER, export
from tests.support.data.log_reading import accepted_jobs

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.servers.rig import Rig

PRESETS = f"{BASE}/audience/presets"


def put(rig: Rig, name: str, **options: Any) -> Any:
    """The answer to this preset."""
    return rig.client.http.put(f"{PRESETS}/{name}", json={"options": options})


def sent(rig: Rig, content: bytes, *, fields: dict[str, str] | None = None, **said: Any) -> Any:
    """The answer to this upload."""
    return rig.client.http.post(
        f"{BASE}/audience/import",
        params=said,
        data=fields or {},
        files={"uploadFile": ("a.csv", content, "text/csv; charset=windows-1252")},
    )


def test_an_upload_takes_what_it_leaves_out_from_its_preset(rig: Rig) -> None:
    """What it says itself counts before; the job holds the options, whatever the preset becomes."""
    options = {"DELIMITER": "SEMI_COLON", "columns": ["auto"], "unknownColumns": "ignore"}
    kept = put(rig, "excel", **options, phoneRegion="AT")
    assert (kept.status_code, kept.json()["definedBy"]) == (200, "admin")
    shown = rig.client.http.get(f"{PRESETS}/excel").json()
    assert shown["options"] == {
        name: [value] if isinstance(value, str) else value
        for name, value in {**options, "phoneRegion": "AT"}.items()
    }

    first = sent(rig, export("excel"), preset="excel", phoneRegion="DE")
    assert rig.wait_ended(int(first.json()["id"]))["inserted"] == 3
    assert put(rig, "excel", columns="Foo=Email").status_code == 200
    again = sent(rig, export("excel"), fields={"preset": "excel"}, importType="upsert")
    assert again.status_code == 400
    assert "MAPPED_COLUMN_MISSING" in {each["code"] for each in again.json()["details"]}

    (job,) = accepted_jobs(rig.env.settings)
    assert (job.phone_region, job.delimiter, len(job.columns)) == ("DE", ";", 5)
    rig.api.kill()
    rig.restart_api()
    assert rig.client.http.get(PRESETS).json()["presets"][0]["options"] == {
        "columns": ["Foo=Email"]
    }

    assert rig.client.http.post(f"{PRESETS}/excel/delete").status_code == 200
    assert rig.client.http.get(PRESETS).json() == {"total": 0, "presets": []}
    assert rig.client.http.get(f"{PRESETS}/excel").status_code == 404


def test_what_no_preset_may_hold_is_refused(rig_of_module: Rig) -> None:
    """All of it at once, each with what was probably meant."""
    rig = rig_of_module
    refused = put(rig, "-", dateorder="DMY", dryRun="true", phoneRegion="XX")
    assert refused.status_code == 400
    found = [(each["code"], each["column"]) for each in refused.json()["details"]]
    assert found == [
        ("NAME_INVALID", "name"),
        ("UNKNOWN_OPTION", "dateorder"),
        ("UNKNOWN_OPTION", "dryRun"),
        ("INVALID_PARAMETER", "phoneRegion"),
    ]
    assert "do you mean dateOrder?" in refused.json()["details"][1]["message"]

    assert put(rig, "history", columns="auto").status_code == 200
    unknown = sent(rig, export("excel"), preset="histroy")
    assert unknown.status_code == 400
    assert "do you mean history?" in unknown.json()["details"][0]["message"]
    assert rig.client.http.get(f"{PRESETS}/history").json()["name"] == "history"
    assert sent(rig, export("excel"), preset="").status_code == 400


def test_commands_keep_and_use_presets(rig_of_module: Rig, tmp_path: Path) -> None:
    """As the API does."""
    shell = Shell(rig_of_module, tmp_path)
    options = ("--map", "auto", "--ignore-unknown", "--phone-region", "US")
    kept = shell.run("presets", "set", "mailchimp", *options)
    assert kept.returncode == 0, kept.stderr
    assert "columns=auto" in kept.stdout
    assert "mailchimp" in shell.run("presets").stdout

    path = str(FOLDER / "mailchimp.csv")
    inspected = shell.run("inspect", path, "--preset", "mailchimp")
    assert "--preset mailchimp" in inspected.stdout
    imported = shell.run("import", path, "--preset", "mailchimp")
    assert imported.returncode == 0, imported.stderr
    assert "3 inserted" in imported.stdout
    assert shell.run("presets", "delete", "mailchimp").returncode == 0
    assert shell.run("presets", "show", "mailchimp").returncode == 2
