"""The parts of the documents that are made from the code.

``python -m tests.support.papers`` writes them anew (`just docs`); a test fails where they differ.
"""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING, Final

from tests.support.checkout import CHECKOUT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ARCHITECTURE: Final = CHECKOUT / "ARCHITECTURE.md"
PACKAGES: Final = ("ingest_api", "processor", "schemas", "deploy")
_BEGIN: Final = "<!-- folders: begin -->\n"
_END: Final = "<!-- folders: end -->"


def folders() -> Iterator[Path]:
    """Every folder of modules of the product, each package's in the order of their names."""
    for package in PACKAGES:
        found = (path.parent for path in (CHECKOUT / package).rglob("__init__.py"))
        yield from sorted(found)


def docstring_of(folder: Path) -> str:
    """The docstring of the folder's ``__init__``, or an empty text."""
    return ast.get_docstring(ast.parse((folder / "__init__.py").read_text())) or ""


def folder_table() -> str:
    """A Markdown table of all folders, each with the first line of its docstring."""
    lines = ["| folder | what it is |", "|---|---|"]
    for folder in folders():
        name = folder.relative_to(CHECKOUT).as_posix()
        summary = docstring_of(folder).partition("\n")[0].replace("|", "\\|")
        lines.append(f"| `{name}/` | {summary} |")
    return "\n".join(lines) + "\n"


def architecture() -> str:
    """ARCHITECTURE.md as it must be, with the table of folders as they are."""
    text = ARCHITECTURE.read_text()
    before, _, rest = text.partition(_BEGIN)
    _, _, after = rest.partition(_END)
    return before + _BEGIN + folder_table() + _END + after


if __name__ == "__main__":
    ARCHITECTURE.write_text(architecture())
