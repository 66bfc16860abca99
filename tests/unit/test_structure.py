"""Folders stay small, and say what they own, promise and may import."""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING, Final

import pytest

from tests.support.checkout import CHECKOUT
from tests.support.papers import PACKAGES, docstring_of, folders

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_MOST_MODULES: Final = 16
_MOST_LINES: Final = 400
_ROOMS: Final = [folder for folder in folders() if folder.parent.parent == CHECKOUT]
"""The folders right below a package: each is one capability."""


def _modules(*roots: str) -> Iterator[Path]:
    for root in roots:
        yield from (CHECKOUT / root).rglob("*.py")


def test_no_folder_has_too_many_modules() -> None:
    """A folder of more than 16 modules is two subjects."""
    by_folder: dict[Path, int] = {}
    for path in _modules(*PACKAGES, "tests"):
        if path.name != "__init__.py":
            by_folder[path.parent] = by_folder.get(path.parent, 0) + 1
    assert {folder: n for folder, n in by_folder.items() if n > _MOST_MODULES} == {}


def test_no_module_is_too_long() -> None:
    """A module of more than 400 lines is split at its subjects."""
    lengths = {path: len(path.read_text().splitlines()) for path in _modules(*PACKAGES, "tests")}
    assert {path: n for path, n in lengths.items() if n > _MOST_LINES} == {}


@pytest.mark.parametrize("folder", _ROOMS, ids=lambda path: path.relative_to(CHECKOUT).as_posix())
def test_a_folder_says_what_it_owns_promises_and_may_import(folder: Path) -> None:
    """The docstring of a capability is its contract in a few lines."""
    text = docstring_of(folder)
    for word in ("Owns ", "Promises ", "May import "):
        assert f"\n{word}" in text, f"{folder} does not say what it {word.strip().lower()}"


@pytest.mark.parametrize("folder", _ROOMS, ids=lambda path: path.relative_to(CHECKOUT).as_posix())
def test_a_folder_imports_what_it_says(folder: Path) -> None:
    """A folder of the same package that is imported is named in the docstring."""
    text = docstring_of(folder)
    permission = text[text.rindex("May import ") :]
    if "every folder" in permission:
        return
    named = set(re.findall(r"`(?:[a-z_]+\.)?([a-z_]+)`", permission))
    assert _imported_rooms(folder) - named == set()


def _imported_rooms(folder: Path) -> set[str]:
    """The other rooms of the package that a folder's modules import when they run."""
    package = folder.parent.name
    found: set[str] = set()
    for path in folder.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(f"{package}."):
                found.add((node.module or "").split(".")[1])
            elif isinstance(node, ast.ImportFrom) and node.module == package:
                found |= {name.name for name in node.names if name.name.islower()}
    return {name for name in found - {folder.name} if (folder.parent / name).is_dir()}
