"""Makes the table of all settings: for `./rollcall settings` and for docs/settings.md."""

from collections.abc import Iterator
from typing import Any

from deploy.cli.client_settings import ClientSettings
from deploy.local_stack.settings import StackSettings
from ingest_api.app.settings import ApiSettings
from ingest_api.publisher.settings import PublisherSettings
from schemas.config.declared import Section, Variable, variables
from schemas.config.settings import Settings

READERS: dict[str, tuple[type[Section], ...]] = {
    "api": (ApiSettings,),
    "publisher": (PublisherSettings,),
    "processor": (Settings,),
    "builder": (Settings,),
    "commands": (Settings, ClientSettings),
    "local stack": (StackSettings,),
}
"""The settings that each of them reads."""
_SERVICES = {"api", "publisher", "processor", "builder"}
_BEGIN, _END = (
    "<!-- settings: made by ./rollcall settings --write docs/settings.md -->\n",
    "<!-- end of settings -->",
)


def all_settings() -> dict[Variable, list[str]]:
    """Return every setting, with who reads it."""
    found: dict[str, tuple[Variable, list[str]]] = {}
    for reader, sections in READERS.items():
        for section in sections:
            for each in variables(section):
                _, readers = found.setdefault(each.name, (each, []))
                readers.append(reader)
    return dict(sorted(found.values(), key=lambda one: not one[0].is_required))


def rows() -> Iterator[dict[str, Any]]:
    """Yield the settings as JSON has them."""
    for each, readers in all_settings().items():
        setting = each.setting
        yield {
            "name": each.name,
            "alsoNamed": setting.also or None,
            "fileName": each.file_name if each.is_secret else None,
            "values": each.values,
            "minimum": setting.least,
            "maximum": setting.most,
            "unit": setting.unit or None,
            "choices": each.choices or None,
            "isRequired": each.is_required,
            "isSecret": each.is_secret,
            "default": None if each.is_required else each.default,
            "readBy": readers,
            "effect": setting.effect,
        }


def written_into(document: str) -> str:
    """Return the Markdown document with the table of now between its marks.

    Raises:
        ValueError: it has no such marks.
    """
    before, begin, rest = document.partition(_BEGIN)
    _, end, after = rest.partition(_END)
    if not (begin and end):
        raise ValueError(f"it has no line {_BEGIN.strip()} with {_END} below it")
    return f"{before}{begin}{_markdown()}{end}{after}"


def _markdown() -> str:
    lines = ["| setting | values | default | read by | effect |", "|---|---|---|---|---|"]
    for each, readers in all_settings().items():
        names = " or ".join(f"`{name}`" for name in (each.name, each.setting.also) if name)
        cells = (names, each.values, each.default_text, _readers(readers), each.setting.effect)
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _readers(readers: list[str]) -> str:
    if set(readers) >= _SERVICES:
        return ", ".join(["all services", *(each for each in readers if each not in _SERVICES)])
    return ", ".join(readers)
