"""The known names that an unknown one is probably meant to be."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, Final

from schemas.rules.attributes import plain_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_LEAST_LIKENESS: Final = 0.6
"""As :func:`difflib.get_close_matches` has it: two thirds of the characters in one order."""
_MOST_CHARACTERS: Final = 100
"""Of a name that are looked at: comparing takes the square of them."""


def nearest(
    name: str,
    known: Iterable[str],
    others_words: Mapping[str, tuple[str, ...]] | None = None,
    *,
    least_likeness: float = _LEAST_LIKENESS,
) -> list[str]:
    """Return the known name that is most like this one, or none where none is like it.

    Case, spaces, ``_`` and ``-`` don't count.
    ``others_words`` has known names by what others call the same; of those it may be several.
    """
    plain = {plain_name(each): each for each in known}
    wanted = plain_name(name[:_MOST_CHARACTERS])
    meant = [each for each in (others_words or {}).get(wanted, ()) if each in plain.values()]
    if wanted in plain:
        meant = [plain[wanted]]
    if not meant:
        found = difflib.get_close_matches(wanted, plain, n=1, cutoff=least_likeness)
        meant = [plain[each] for each in found]
    return meant


def question(names: Iterable[str]) -> str:
    """Return the end of a sentence that asks whether these are meant; empty without any."""
    meant = " or ".join(names)
    return f": do you mean {meant}?" if meant else ""
