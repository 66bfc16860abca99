"""Each mutant can be planted still, and the test that must find it is there."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

import pytest

from tests.support.checkout import CHECKOUT
from tests.support.mutants import MUTANTS

if TYPE_CHECKING:
    from tests.support.mutants import Mutant


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.instead)
def test_a_mutant_is_planted_where_its_mechanism_stands(mutant: Mutant) -> None:
    """A mechanism that has moved takes its mutant with it."""
    assert ast.parse(mutant.planted())
    module, _, name = mutant.test.partition("::")
    tests = ast.parse((CHECKOUT / module).read_text()).body
    assert name in {each.name for each in tests if isinstance(each, ast.FunctionDef)}
