"""Characters that nobody sees: white space, marks of direction, joiners, fillers and the like.

At the edges of a cell they are dropped, within a reconciliation key or an address they
are a fault, because a second user would come of them whom nobody can find.
Free text keeps at its edges what belongs to what is seen: joiners, marks of direction,
variation selectors.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Final

_SHOWN_BEFORE: Final = 20


def _of(*ranges: tuple[int, int]) -> str:
    return "".join(chr(code) for first, last in ranges for code in range(first, last + 1))


_WHITE: Final = "".join(filter(str.isspace, map(chr, range(0x3001))))
"""What ``str.strip()`` removes."""
_FILLERS: Final = _of(
    (0x00AD, 0x00AD),  # soft hyphen
    (0x115F, 0x1160),  # Hangul fillers
    (0x180E, 0x180E),  # Mongolian vowel separator
    (0x200B, 0x200B),  # zero width space
    (0x2060, 0x2064),  # word joiner, invisible operators
    (0x2800, 0x2800),  # blank of Braille
    (0x3164, 0x3164),  # Hangul filler
    (0xFEFF, 0xFEFF),  # byte order mark
    (0xFFA0, 0xFFA0),  # halfwidth Hangul filler
)
_BELONGING: Final = _of(
    (0x034F, 0x034F),  # combining grapheme joiner
    (0x061C, 0x061C),  # Arabic letter mark
    (0x200C, 0x200F),  # joiners, marks of direction
    (0x202A, 0x202E),  # embeddings and overrides of direction
    (0x2066, 0x206F),  # isolates of direction, deprecated formats
    (0xFE00, 0xFE0F),  # variation selectors
    (0xE0001, 0xE0001),
    (0xE0020, 0xE007F),  # tags
    (0xE0100, 0xE01EF),  # variation selectors
)
_TEXT_EDGES: Final = _WHITE + _FILLERS
_KEY_EDGES: Final = _TEXT_EDGES + _BELONGING
_CONTROLS: Final = _of((0x00, 0x1F), (0x7F, 0x9F))
_CONTROL_NAMES: Final = {"\t": "tab", "\n": "line feed", "\r": "carriage return"}
_HIDDEN: Final = "".join(sorted({*_KEY_EDGES, *_CONTROLS} - {" "}))
_HIDDEN_ONE: Final = re.compile(f"[{re.escape(_HIDDEN)}]")
HIDDEN: Final = frozenset(_HIDDEN)
"""Every character that nobody sees but the blank."""
SPACES: Final = frozenset(filter(lambda character: unicodedata.category(character) == "Zs", _WHITE))
"""The blanks of typography, and the usual one."""


def stripped_text(text: str) -> str:
    """Return free text without what nobody sees around it; nothing where nothing is seen."""
    plain = text.strip(_TEXT_EDGES)
    return plain if plain.strip(_KEY_EDGES) else ""


def stripped_value(text: str) -> str:
    """Return a key, an address, a number or a word without what nobody sees around it."""
    return text.strip(_KEY_EDGES)


def hidden_fault(text: str) -> str | None:
    """Return which character nobody sees within this stripped text, as the end of a sentence."""
    found = _HIDDEN_ONE.search(text)
    if not found:
        return None
    before = text[max(0, found.start() - _SHOWN_BEFORE) : found.start()]
    cut = "…" if found.start() > _SHOWN_BEFORE else ""
    return f'holds the invisible character {described(found[0])} after "{cut}{before}".'


def described(character: str) -> str:
    """Return the character's code point and its name in words."""
    control = _CONTROL_NAMES.get(character, "control character")
    name = unicodedata.name(character, control).lower()
    return f"U+{ord(character):04X} ({name})"
