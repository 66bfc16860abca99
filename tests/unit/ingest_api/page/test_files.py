"""The page's files: the locked libraries, a first load that is small, nothing from elsewhere."""

from __future__ import annotations

import gzip
import hashlib
import re
from importlib import resources
from pathlib import Path
from typing import Final

FOLDER: Final = Path(str(resources.files("ingest_api.page"))) / "files"
MOST_BYTES: Final = 100_000


def test_the_libraries_are_the_locked_ones() -> None:
    """Each file has the sha256 in the lock that `.ci/renew-page-libraries` wrote."""
    lock = FOLDER.parent.joinpath("libraries.lock").read_text().splitlines()
    locked = {line.split()[1]: line.split()[0] for line in lock}
    assert locked == {
        name: hashlib.sha256(FOLDER.joinpath(name).read_bytes()).hexdigest()
        for name in ("libraries.js", "libraries.LICENSE.txt")
    }


def test_the_first_load_is_small() -> None:
    """All that a browser is sent, as it is sent."""
    sent = sum(len(gzip.compress(file.read_bytes(), 6)) for file in FOLDER.iterdir())
    assert sent < MOST_BYTES


def test_the_page_asks_no_other_host_and_keeps_nothing() -> None:
    """No address of another host, no storage, no HTML made of text."""
    forbidden = r"https?://|\blocalStorage\b|\bsessionStorage\b|\bindexedDB\b|innerHTML|\beval\("
    for file in FOLDER.iterdir():
        if not file.name.startswith("libraries") and file.suffix != ".svg":
            assert re.findall(forbidden, file.read_text()) == [], file.name


def test_every_file_is_asked_for() -> None:
    """A module that none imports is sent to nobody."""
    texts = {file.name: file.read_text() for file in FOLDER.iterdir()}
    for name in texts:
        if name not in {"index.html", "libraries.LICENSE.txt"}:
            named = re.compile(rf"(?:\./|page/){re.escape(name)}\"")
            assert any(named.search(text) for other, text in texts.items() if other != name), name
