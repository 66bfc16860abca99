"""The runbook has every code that an answer, a rejected line or a dead letter may have."""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING, Final

from ingest_api.errors import IngestError
from ingest_api.web.refused import CODES
from schemas.log.dead_letters import REASONS
from schemas.rules import fields
from schemas.rules.fields import Rule
from tests.support.checkout import CHECKOUT
from tests.support.monitoring import RUNBOOK

if TYPE_CHECKING:
    from collections.abc import Iterator

_CODE: Final = re.compile(r"[A-Z]{3,}(?:_[A-Z]+)+")
_OTHER_WORDS: Final = frozenset(
    {
        "AUDIENCE_MEMBERS",
        "BASIC_AUTH_USER_INFO",
        "BEARER_AUTH_TOKEN",
        "COMPLETED_WITH_ERRORS",
        "MAX_FILE_SIZE",
        "SCHEMA_REGISTRY_URL",
        "SEMI_COLON",
        "SSL_CA_LOCATION",
        "SSL_CERTIFICATE_LOCATION",
        "SSL_KEY_LOCATION",
        "UNKNOWN_TOPIC_OR_PART",
    }
)
"""Texts that look like codes and are none: add yours, or give a code its row in the runbook."""


def _texts_like_codes() -> set[str]:
    trees = (
        ast.parse(path.read_text())
        for package in ("ingest_api", "processor", "schemas")
        for path in (CHECKOUT / package).rglob("*.py")
    )
    texts = (
        node.value
        for tree in trees
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    )
    settings = ("ROLLCALL_", "OTEL_")
    return {text for text in texts if _CODE.fullmatch(text) and not text.startswith(settings)}


def _codes_below(kind: type[IngestError]) -> Iterator[str]:
    for each in kind.__subclasses__():
        yield each.code
        yield from _codes_below(each)


def test_every_code_has_its_row() -> None:
    """In the code's own spelling, with what to do."""
    rules = {each.code for each in vars(fields).values() if isinstance(each, Rule)}
    answers = set(_codes_below(IngestError)) | set(CODES.values())
    codes = (_texts_like_codes() - _OTHER_WORDS) | set(REASONS) | rules | answers
    assert len(codes) > 80
    rows = re.findall(r"^\| (`[A-Z].*?) \|", RUNBOOK.read_text(), re.MULTILINE)
    described = {code for row in rows for code in re.findall(r"`([A-Z_0-9]+)`", row)}
    # Those of rejected lines stand once.
    assert codes - described == set()
