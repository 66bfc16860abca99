"""A file is described without anything of it being kept, and imported as it was described."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from confluent_kafka import Consumer, TopicPartition

from tests.support.clients.client import BASE
from tests.support.clients.shell import Shell
from tests.support.data.exports import FOLDER, MEANT, export

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.servers.rig import Rig

COUNTS = {"mailchimp": 3, "hubspot": 3, "salesforce": 3, "google-contacts": 2, "excel": 3}


def posted(rig: Rig, route: str, content: bytes, **said: Any) -> Any:
    """The answer to this file on this route."""
    media_type = f"text/csv; charset={said.pop('charset')}" if "charset" in said else "text/csv"
    files = {"uploadFile": ("export.csv", content, media_type)}
    url = f"{BASE}/audience/{route}"
    return rig.client.http.post(url, params=said, files=files)


def end_of_uploads(rig: Rig) -> int:
    """How many records the topic of files has had."""
    settings = rig.env.settings
    topic = settings.topics.uploads
    consumer = Consumer({**settings.kafka, "group.id": "end of uploads"})
    ends = [
        consumer.get_watermark_offsets(TopicPartition(topic.name, partition), timeout=30)[1]
        for partition in range(topic.partitions)
    ]
    consumer.close()
    return sum(ends)


@pytest.mark.parametrize("name", MEANT)
def test_exports_of_other_programs_go_in_as_inspect_says(rig_of_module: Rig, name: str) -> None:
    """Nothing is kept of what is inspected; the import with its options takes every line."""
    rig, content = rig_of_module, export(name)
    before = end_of_uploads(rig)
    answer = posted(rig, "inspect", content)
    assert answer.status_code == 200, answer.text
    assert end_of_uploads(rig) == before
    found = answer.json()
    assert (found["lines"], found["reject"], found["refusedFor"]) == (COUNTS[name], 0, [])

    options = {key: value for key, value in found["options"].items() if value is not None}
    accepted = posted(rig, "import", content, **options | {"columns": ["auto"]})
    assert accepted.status_code == 200, accepted.text
    status = rig.wait_ended(int(accepted.json()["id"]))
    assert (status["inserted"], status["rejected"]) == (COUNTS[name], 0)


def test_the_command_says_how_to_import(rig_of_module: Rig, tmp_path: Path) -> None:
    """And that command does it."""
    shell = Shell(rig_of_module, tmp_path)
    shown = shell.run("inspect", str(FOLDER / "google-contacts.csv"))
    assert shown.returncode == 0, shown.stderr
    ending = "--map auto --phone-region GB --ignore-unknown"
    assert shown.stdout.strip().endswith(ending)
    assert "E-mail 1 - Value" in shown.stdout

    path = str(FOLDER / "google-contacts.csv")
    imported = shell.run("import", path, "--mode", "upsert", *ending.split())
    assert imported.returncode == 0, imported.stderr


def test_what_comes_after_the_file_is_too_late(rig_of_module: Rig) -> None:
    """It would have been read otherwise; and what an import alone takes is unknown."""
    body = (
        b'--b\r\nContent-Disposition: form-data; name="uploadFile"; filename="a.csv"\r\n\r\n'
        b"Email\n" + b"x\n" * 200_000 + b"\r\n--b\r\n"
        b'Content-Disposition: form-data; name="importType"\r\n\r\nupsert\r\n--b--\r\n'
    )
    headers = {"Content-Type": "multipart/form-data; boundary=b"}
    late = rig_of_module.client.http.post(f"{BASE}/audience/inspect", content=body, headers=headers)
    assert late.status_code == 400
    assert "before it" in late.json()["details"][0]["message"]

    unknown = posted(rig_of_module, "inspect", b"Email\nx\n", maxRejected=0)
    assert unknown.status_code == 400
    assert unknown.json()["details"][0]["code"] == "UNKNOWN_PARAMETER"


def test_columns_by_their_usual_names_are_content(rig_of_module: Rig) -> None:
    """A retry with the same key is the same upload; the job keeps what the names meant."""
    headers = {"Idempotency-Key": "auto"}
    ids: list[str] = []
    for columns in ("auto", "auto", "Mail=Email"):
        answer = rig_of_module.client.http.post(
            f"{BASE}/audience/import",
            params={"columns": columns, "unknownColumns": "ignore"},
            files={"uploadFile": ("a.csv", b"Mail,Vorname\na@auto.example.com,A\n", "text/csv")},
            headers=headers,
        )
        ids.append(answer.json().get("id", answer.status_code))
    assert ids == [ids[0], ids[0], 409]
