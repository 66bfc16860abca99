"""The parts of the documents that are made from the code.

``python -m tests.support.papers`` writes them anew (`just docs`); a test fails where they differ.
"""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING, Final

from deploy.cli.settings_table import all_settings
from ingest_api.imports.file_table import file_table
from schemas.config.declared import ANY_PROPERTY
from tests.support import chart, command_reference, dashboard, metric_names, mutants
from tests.support.checkout import CHECKOUT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ARCHITECTURE: Final = CHECKOUT / "ARCHITECTURE.md"
SETTING_NAMES: Final = CHECKOUT / "schemas" / "config" / "names.py"
PACKAGES: Final = ("ingest_api", "processor", "schemas", "deploy")
FILES: Final = CHECKOUT / "docs" / "files.md"


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
    """ARCHITECTURE.md as it must be, with the tables of folders and of mutants as they are."""
    text = _with(ARCHITECTURE.read_text(), "folders", folder_table())
    return _with(text, "mutants", mutants.table())


def files() -> str:
    """docs/files.md as it must be, with the tables of what a file may hold."""
    return _with(FILES.read_text(), "rules", f"{file_table()}\n")


def _with(text: str, part: str, made: str) -> str:
    begin, end = f"<!-- {part}: begin -->\n", f"<!-- {part}: end -->"
    before, _, rest = text.partition(begin)
    _, _, after = rest.partition(end)
    return before + begin + made + end + after


def setting_names() -> str:
    """The module of the names of all settings, as it must be: a process knows only its own."""
    settings = all_settings()
    names = {each.name for each in settings if not each.name.endswith(ANY_PROPERTY)}
    names |= {each.file_name for each in settings if each.is_secret}
    listed = "".join(
        f'        "{name}",\n' for name in sorted(names) if name.startswith("ROLLCALL_")
    )
    return f'''"""The names of all settings, of whichever process; `just docs` makes this module."""

from __future__ import annotations

from typing import Final

SETTING_NAMES: Final = frozenset(
    {{
{listed}    }}
)
'''


if __name__ == "__main__":
    ARCHITECTURE.write_text(architecture())
    FILES.write_text(files())
    SETTING_NAMES.write_text(setting_names())
    chart.VALUES.write_text(chart.values())
    chart.SCHEMA.write_text(chart.schema())
    dashboard.DASHBOARD.write_text(dashboard.dashboard_text())
    metric_names.DOCUMENT.write_text(metric_names.document())
    command_reference.DOCUMENT.write_text(command_reference.document())
