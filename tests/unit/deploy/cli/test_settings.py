"""The table of all settings: whole, the same everywhere, and the only place where they stand."""

from __future__ import annotations

import ast
import json
import re
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from deploy.cli.main import main
from deploy.cli.settings_table import all_settings, rows, written_into
from ingest_api.publisher.settings import PublisherSettings
from schemas.config.declared import ANY_PROPERTY
from schemas.config.settings_help import settings_help
from tests.support.papers import SETTING_NAMES, setting_names

CHECKOUT = Path(__file__).parents[4]
PRODUCT = ("deploy", "ingest_api", "processor", "schemas")
OURS = re.compile(r"(?<![A-Z_])ROLLCALL_[A-Z][A-Z_]*[A-Z](?![A-Z_])")
ENVIRONMENTS = {"environ", "environment", "getenv"}


def _is_known(name: str) -> bool:
    names = {each.name for each in all_settings()} | {
        each.setting.also for each in all_settings() if each.setting.also
    }
    secrets = {each.file_name for each in all_settings() if each.is_secret}
    prefixes = [each.removesuffix(ANY_PROPERTY) for each in names if each.endswith(ANY_PROPERTY)]
    return name in names | secrets or any(name.startswith(prefix) for prefix in prefixes)


def _looked_up(tree: ast.AST) -> set[str]:
    """Constant names that the environment is asked for."""
    found: set[str] = set()
    for node in ast.walk(tree):
        match node:
            case ast.Call(func=ast.Attribute(value=value, attr="get"), args=[key, *_]):
                pass
            case ast.Call(func=ast.Attribute(attr="getenv") as value, args=[key, *_]):
                pass
            case ast.Subscript(value=value, slice=key):
                pass
            case _:
                continue
        said = getattr(value, "attr", getattr(value, "id", ""))
        if said in ENVIRONMENTS and isinstance(key, ast.Constant):
            found.add(str(key.value))
    return found


def test_every_name_that_the_product_uses_stands_in_the_table() -> None:
    """Those that begin with ROLLCALL_, wherever they stand, and whatever else is looked up."""
    used: dict[str, str] = {}
    paths = [path for folder in PRODUCT for path in (CHECKOUT / folder).rglob("*.py")]
    for path in [*paths, CHECKOUT / "rollcall"]:
        text = path.read_text()
        looked_up: set[str] = _looked_up(ast.parse(text)) if path.suffix else set()
        used |= dict.fromkeys({*OURS.findall(text), *looked_up}, str(path))
    passed_on = {"PYTHONPATH"}
    unknown = {name: path for name, path in used.items() if not _is_known(name)}
    assert {name for name in unknown if name not in passed_on} == set(), unknown
    assert {"ROLLCALL_PYTHON", "JAVA_HOME", "ROLLCALL_STACK_TOKEN"} <= set(used)


def test_the_document_has_the_table_of_now() -> None:
    """Where this fails: `./rollcall settings --write docs/settings.md`."""
    document = (CHECKOUT / "docs/settings.md").read_text()
    assert written_into(document) == document


def test_every_process_knows_the_names_of_all_settings() -> None:
    """Where this fails: `just docs`."""
    assert SETTING_NAMES.read_text() == setting_names()


def test_every_command_warns_of_a_setting_that_there_is_not() -> None:
    """On standard error, so that what is printed for programs stays as it is."""
    result = CliRunner().invoke(main, ["settings", "--json"], env={"ROLLCALL_PORTT": "1"})
    assert result.stderr == "Warning: ROLLCALL_PORTT is no setting: do you mean ROLLCALL_PORT?\n"
    assert json.loads(result.stdout)


def test_each_setting_says_what_it_does() -> None:
    """In one line, without the full stop that some of its readers add."""
    for each in all_settings():
        assert each.setting.effect
        assert not each.setting.effect.endswith("."), each.name
        assert "|" not in each.setting.effect


def test_the_command_prints_the_table() -> None:
    """For people, and as JSON for programs."""
    listed = CliRunner().invoke(main, ["settings"])
    assert listed.exit_code == 0, listed.output
    printed: Any = json.loads(CliRunner().invoke(main, ["settings", "--json"]).output)
    assert printed == {"settings": json.loads(json.dumps(list(rows())))}
    for row in printed["settings"]:
        assert row["name"] in listed.output
    database = next(row for row in printed["settings"] if row["name"] == "ROLLCALL_DATABASE_URL")
    assert database["isRequired"]
    assert database["fileName"] == "ROLLCALL_DATABASE_URL_FILE"
    assert set(database["readBy"]) >= {"api", "publisher", "processor", "builder"}


@pytest.mark.parametrize(("held", "told"), [(b"# Mine\n", "has no line"), (b"\xff", "not UTF-8")])
def test_a_document_without_the_marks_is_left_as_it_was(
    tmp_path: Path, held: bytes, told: str
) -> None:
    """And it is said what it lacks."""
    document = tmp_path / "mine.md"
    document.write_bytes(held)
    result = CliRunner().invoke(main, ["settings", "--write", str(document)])
    assert result.exit_code == 2
    assert told in result.stderr
    assert document.read_bytes() == held


def test_help_shows_the_settings_of_what_is_run() -> None:
    """Those that it reads, and no others."""
    assert "ROLLCALL_WATCHDOG_S" in settings_help(PublisherSettings)
    assert "ROLLCALL_JWT_ISSUER" not in settings_help(PublisherSettings)
    shown = {
        name: CliRunner().invoke(main, [name, "--help"]).output for name in ("serve", "process")
    }
    assert "ROLLCALL_JWT_ISSUER" in shown["serve"]
    assert "ROLLCALL_WATCHDOG_S" in shown["serve"]
    assert "ROLLCALL_DATABASE_URL" in shown["process"]
    assert "ROLLCALL_JWT_ISSUER" not in shown["process"]


def test_a_service_is_told_of_all_its_mistakes_before_it_starts() -> None:
    """Once, and not by every process at every restart."""
    environ = {"ROLLCALL_WATCHDOG_S": "0", "ROLLCALL_EVENT_STREAMS": "0"}
    result = CliRunner().invoke(main, ["serve"], env=environ)
    assert result.exit_code == 2
    lines = result.output.removeprefix("Error: ").splitlines()
    assert [line.split()[0] for line in lines] == [
        "ROLLCALL_KAFKA_BOOTSTRAP_SERVERS",
        "ROLLCALL_DATABASE_URL",
        "ROLLCALL_EVENT_STREAMS",
        "ROLLCALL_WATCHDOG_S",
    ]
