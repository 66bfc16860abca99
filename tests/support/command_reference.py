"""The page of the command line program: every command with its options, as `--help` has them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import click

from deploy.cli.main import main
from tests.support.checkout import CHECKOUT

if TYPE_CHECKING:
    from collections.abc import Iterator

DOCUMENT: Final = CHECKOUT / "docs" / "commands.md"
_HEAD: Final = """\
# Commands

Made from the program by `just docs`; `rollcall COMMAND --help` says the same.
Exit status: 0 done, 1 done with something to look at, 2 refused or unreachable, 130 Ctrl-C.
"""


def document() -> str:
    """The page as it must be."""
    context = click.Context(main, info_name="rollcall")
    return _HEAD + "".join(_described(context, main))


def _described(context: click.Context, command: click.Command) -> Iterator[str]:
    if not isinstance(command, click.Group):
        yield _one(context, command)
        return
    for name in command.list_commands(context):
        found = command.get_command(context, name)
        if found is not None and not found.hidden:
            yield from _described(click.Context(found, parent=context, info_name=name), found)


def _one(context: click.Context, command: click.Command) -> str:
    usage = " ".join([context.command_path, *command.collect_usage_pieces(context)])
    rows = [
        record
        for parameter in command.get_params(context)
        if isinstance(parameter, click.Option) and "--help" not in parameter.opts
        if (record := parameter.get_help_record(context))
    ]
    text = f"\n## {context.command_path}\n\n```\n{usage}\n```\n\n{_text(command)}\n"
    if rows:
        cells = (f"| `{_cell(option)}` | {_cell(effect)} |\n" for option, effect in rows)
        text += "\n| option | effect |\n|---|---|\n" + "".join(cells)
    return text


def _text(command: click.Command) -> str:
    """The help of a command: its paragraphs, and what stands as it is as code."""
    found: list[str] = []
    for paragraph in (command.help or "").replace("\f", "\n\n").split("\n\n"):
        if paragraph.startswith("\b\n"):
            found.append(f"```\n{paragraph[2:].rstrip()}\n```")
        else:
            found.append(" ".join(paragraph.split()))
    return "\n\n".join(filter(None, found))


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
