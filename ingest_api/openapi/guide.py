"""The guide: the pages of `docs/`, made HTML when they are asked for.

A page keeps its name, so a link between two of them works here as it does in a checkout; what
stands outside `docs/` is shown as text.
"""

from __future__ import annotations

import re
from functools import cache
from html import escape
from importlib import resources
from pathlib import Path
from posixpath import dirname, join, normpath
from typing import TYPE_CHECKING, Final

from markdown_it import MarkdownIt

from ingest_api.errors import NotFoundError
from ingest_api.openapi.served_file import ServedFile

if TYPE_CHECKING:
    from collections.abc import Sequence
    from importlib.resources.abc import Traversable

    from markdown_it.token import Token

INDEX: Final = "index.md"
NO_PAGE: Final = "There is no such page"
_NAME: Final = re.compile(r"(?:design/)?[a-z][a-z0-9-]*\.md")
_NOT_WORD: Final = re.compile(r"[^\w]+")
_PAGE: Final = """\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title} - Rollcall</title>
<link rel="stylesheet" href="/docs/guide.css">
</head>
<body>
<header><a href="/docs/guide/index.md">Rollcall: the guide</a> <a href="/docs">HTTP API</a></header>
<nav aria-label="Pages">{pages}</nav>
<main>{content}</main>
</body>
</html>
"""


@cache
def page(name: str) -> ServedFile:
    """Return the page of this file below `docs/`, with the list of all pages beside it.

    Raises:
        NotFoundError: there is no such page.
    """
    file = _folder() / name
    if not _NAME.fullmatch(name) or not file.is_file():
        raise NotFoundError(NO_PAGE)
    text = file.read_text()
    pages = _html((_folder() / INDEX).read_text().partition("\n")[2], INDEX)
    title = text.partition("\n")[0].lstrip("# ")
    html = _PAGE.format(title=escape(title), pages=pages, content=_html(text, name))
    return ServedFile(html.encode(), "text/html; charset=utf-8")


def _folder() -> Traversable:
    """Return the folder of the pages: within the package where it is installed, else `docs`."""
    installed = resources.files("ingest_api.openapi") / "pages"
    return installed if installed.is_dir() else Path(__file__).parents[2] / "docs"


def _html(markdown: str, name: str) -> str:
    """Return the text as HTML; ``name`` is the page that its links start from."""
    reader = MarkdownIt("commonmark").enable("table")
    tokens = reader.parse(markdown)
    for at, token in enumerate(tokens):
        if token.type == "heading_open":
            token.attrSet("id", _NOT_WORD.sub("-", tokens[at + 1].content.lower()).strip("-"))
        token.children = token.children and _linked(token.children, name)
    return reader.renderer.render(tokens, reader.options, {})


def _linked(tokens: Sequence[Token], name: str) -> list[Token]:
    """Return the tokens with links to pages from the guide's root, and without those out of it."""
    kept: list[Token] = []
    is_kept = True
    for token in tokens:
        if token.type == "link_open":
            target = str(token.attrGet("href"))
            is_page = ":" not in target and not target.startswith("#")
            found = normpath(join(dirname(name), target)) if is_page else ""
            is_kept = not found.startswith("../")
            if is_page:
                token.attrSet("href", f"/docs/guide/{found}")
        if is_kept or token.type not in {"link_open", "link_close"}:
            kept.append(token)
    return kept
