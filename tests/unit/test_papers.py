"""What the documents say of the code is so: folders, files, tests, and the words they use."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, Final

import pytest

from ingest_api.imports.operations import IMPORT
from schemas.rules.fields import FIELDS
from tests.support import chart, command_reference, metric_names, papers
from tests.support.checkout import CHECKOUT

if TYPE_CHECKING:
    from pathlib import Path

DOCS: Final = CHECKOUT / "docs"
_DOCUMENTS: Final = [
    CHECKOUT / name for name in ("README.md", "ARCHITECTURE.md", "CONTRIBUTING.md")
] + sorted(DOCS.rglob("*.md"))
_PATH: Final = re.compile(
    r"`((?:ingest_api|processor|schemas|deploy|tests|docs|\.ci)/[\w./-]*?)(?:::(\w+))?`"
)


def _name(path: Path) -> str:
    return path.relative_to(CHECKOUT).as_posix()


def test_the_table_of_folders_is_that_of_the_docstrings() -> None:
    """ARCHITECTURE.md lists every folder; `just docs` makes the table anew."""
    assert papers.ARCHITECTURE.read_text() == papers.architecture()


def test_the_table_of_metrics_is_that_of_the_code() -> None:
    """docs/metrics.md lists every metric; `just docs` makes the table anew."""
    assert metric_names.DOCUMENT.read_text() == metric_names.document()


def test_the_page_of_commands_is_that_of_the_program() -> None:
    """docs/commands.md has every command and option; `just docs` makes it anew."""
    assert command_reference.DOCUMENT.read_text() == command_reference.document()


def test_the_guide_lists_every_page_for_users() -> None:
    """docs/index.md leads to each; docs/style.md and docs/design/tests.md are for developers."""
    listed = set(re.findall(r"\]\(([\w/-]+\.md)\)", (DOCS / "index.md").read_text()))
    pages = {path.relative_to(DOCS).as_posix() for path in DOCS.rglob("*.md")}
    assert pages - listed == {"index.md", "style.md", "design/tests.md"}
    assert listed - pages == set()


def test_the_values_of_the_chart_are_those_of_the_settings() -> None:
    """No setting of a service is missing in the Helm chart; `just docs` makes its parts anew."""
    known = json.loads(chart.SCHEMA.read_text())["$defs"]
    named = {*known["settings"]["properties"], *known["secrets"]["properties"]}
    missing = {each.name for each in chart.settings()} - named
    assert missing == {"ROLLCALL_KAFKA_<PROPERTY>"}, "by pattern, because it is any"
    assert chart.SCHEMA.read_text() == chart.schema()
    assert chart.VALUES.read_text() == chart.values()


def test_the_tables_of_files_are_those_of_the_rules() -> None:
    """docs/files.md and the API's description; `just docs` makes the tables anew."""
    assert papers.FILES.read_text() == papers.files()
    form: Any = (IMPORT.body or {})["multipart/form-data"]
    described: str = form["properties"]["uploadFile"]["description"]
    assert described.endswith(papers.file_table())
    assert all(f"| {field.header} |" in described for field in FIELDS)


@pytest.mark.parametrize("document", _DOCUMENTS, ids=_name)
def test_every_path_that_a_document_names_is_there(document: Path) -> None:
    """So is every test that it names in a file."""
    named = _PATH.findall(document.read_text())
    missing = [path for path, _ in named if not (CHECKOUT / path).exists()]
    assert missing == []
    lost = [
        f"{path}::{test}"
        for path, test in named
        if test and f"def {test}(" not in (CHECKOUT / path).read_text()
    ]
    assert lost == []


@pytest.mark.parametrize("document", _DOCUMENTS, ids=_name)
def test_every_link_within_the_checkout_leads_somewhere(document: Path) -> None:
    """A link names a file beside the document."""
    links = re.findall(r"\]\((?!https?:|#)([^)#]+)", document.read_text())
    assert [link for link in links if not (document.parent / link).exists()] == []


def test_the_architecture_names_each_invariant_once_with_module_and_test() -> None:
    """I1, I2 … in their order, each with at least one module and one test."""
    rows = re.findall(r"^\| (I\d+) \| (.*)$", papers.ARCHITECTURE.read_text(), re.MULTILINE)
    assert [number for number, _ in rows] == [f"I{n}" for n in range(1, len(rows) + 1)]
    assert [number for number, row in rows if ".py`" not in row or "::test_" not in row] == []
