"""Text of others as a terminal may get it."""

import re
from typing import Final

_CONTROLS: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")
"""Characters that move a terminal's cursor, send it commands or turn the direction of text."""


def plain(line: str) -> str:
    """Return the text with what would control the terminal shown as an escape."""
    return _CONTROLS.sub(lambda found: found[0].encode("unicode_escape").decode(), line)
