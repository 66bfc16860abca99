"""What is fuzzed for hours elsewhere stands here for a moment: kept inputs, and near ones."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.fuzzing.corpus import kept_inputs
from tests.support.fuzzing.targets import TARGETS

_EXAMPLES = 30


@pytest.mark.parametrize("name", TARGETS)
def test_every_kept_input_passes(name: str) -> None:
    """Those that reached something new, and those that failed once."""
    inputs = kept_inputs(name)
    assert inputs
    for each in inputs:
        TARGETS[name](each)


@pytest.mark.parametrize("name", TARGETS)
@given(data=st.data())
@settings(max_examples=_EXAMPLES)
def test_inputs_near_to_them_pass(name: str, data: st.DataObject) -> None:
    """With bytes put in place of others, taken from another one or made up."""
    kept = st.sampled_from(kept_inputs(name))
    content = data.draw(kept)
    for _ in range(data.draw(st.integers(1, 3))):
        begin, end = sorted(data.draw(st.tuples(*[st.integers(0, len(content))] * 2)))
        other = data.draw(st.binary(max_size=8) | kept)
        content = content[:begin] + other + content[end:]
    TARGETS[name](content)
