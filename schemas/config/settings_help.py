"""Formats a process's settings for its `--help`."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

from schemas.config.declared import described

if TYPE_CHECKING:
    from schemas.config.declared import Section


def settings_help(section: type[Section]) -> str:
    """Return the name of every setting of the section, with its effect below."""
    lines = ["It is told by the environment:"]
    for name, what in described(section):
        filled = textwrap.wrap(what, 96, initial_indent=" " * 6, subsequent_indent=" " * 6)
        lines += [f"  {name}", *filled]
    return "\n".join(lines)
