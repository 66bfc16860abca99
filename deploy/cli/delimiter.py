"""The option that says what stands between the cells of a file: by its name or as it is."""

from typing import Final

import click

from ingest_api.parsing.file_format import AUTO, DELIMITERS

_NAMES: Final = {character: name for name, character in DELIMITERS.items()} | {"\\t": "TAB"}
_WORDS: Final = {name.lower(): name for name in DELIMITERS} | {
    "semicolon": "SEMI_COLON",
    AUTO: AUTO,
}


class Delimiter(click.ParamType[str]):
    """Takes the character, its name in any case, or ``auto``; returns the API's name of it."""

    name = "delimiter"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the name that the API knows.

        Raises:
            click.BadParameter: It is no delimiter that is taken.
        """
        found = _NAMES.get(value) or _WORDS.get(value.strip().lower().replace("-", "_"))
        if found is None:
            taken = ", ".join(f"'{character}'" for character in _NAMES if character.isprintable())
            self.fail(f"{value!r} is none of {taken}, a tab, and {AUTO}.", param, ctx)
        return found


def shown_delimiter(name: str) -> str:
    """Return the character that has this name, as it is typed in a shell."""
    return "a tab" if name == "TAB" else f"'{DELIMITERS[name]}'"
