"""The table of reasons has each that the code can give, and no other."""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING

from schemas.log import dead_letters
from schemas.rules import fields
from tests.support.checkout import CHECKOUT

if TYPE_CHECKING:
    from pathlib import Path

_GIVE_REASONS = (
    "UndecodableError(",
    "Refusal(",
    "DeadLetter(",
    "RowOutcome(",
    "Violation(",
    "def refuse(",
)
"""A module that makes one of these gives reasons."""
_CODE = re.compile(r"[A-Z]{2,}(_[A-Z]+)+|MALFORMED|MISROUTED|REQUIRED")


def _modules() -> list[Path]:
    found = [
        path
        for package in ("schemas", "processor")
        for path in (CHECKOUT / package).rglob("*.py")
        if any(made in path.read_text() for made in _GIVE_REASONS)
    ]
    return [path for path in found if path.name != "write_outcomes.py"]  # reports, decides nothing


def _codes(tree: ast.AST) -> set[str]:
    """Codes as literals, and those of rules, ``SOME_RULE.code``."""
    texts = {
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and _CODE.fullmatch(node.value)
    }
    rules = {
        getattr(fields, node.value.id).code
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute)
        and node.attr == "code"
        and isinstance(node.value, ast.Name)
        and node.value.id.isupper()
    }
    return texts | rules


def test_every_reason_is_in_the_table() -> None:
    """Found in the source itself, so a new reason must be told before it can be given."""
    found = {code for path in _modules() for code in _codes(ast.parse(path.read_text()))}
    assert found == set(dead_letters.REASONS)


def test_reasons_are_searched_where_they_are_given() -> None:
    """The search covers the codec, the rules and the writer of rows without a job."""
    names = {path.name for path in _modules()}
    assert names >= {"codec.py", "decode_records.py", "producer_rules.py", "producer_rows.py"}
