"""Items made in a thread of their own."""

from __future__ import annotations

import threading
from itertools import count
from typing import TYPE_CHECKING

import pytest

from ingest_api.postgres.read_ahead import read_ahead
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator


def never() -> None:
    """Nothing has to be ended."""
    raise AssertionError("nothing runs that could be cancelled")


def test_items_come_in_their_order_and_an_error_in_its_place() -> None:
    """As from the iterator itself."""

    def items() -> Iterator[int]:
        yield from range(20)
        raise LookupError("the last")

    taken: list[int] = []
    with pytest.raises(LookupError, match="the last"):
        taken.extend(read_ahead(items(), never))
    assert list(read_ahead(iter(()), never)) == []
    assert list(read_ahead(iter(range(3)), never)) == [0, 1, 2]


def test_some_are_made_while_one_is_worked_on_and_no_more() -> None:
    """Work on one and the making of the next overlap, in bounded memory."""
    made: list[int] = []
    ahead = read_ahead((made.append(n) or n for n in count()), never)
    assert next(ahead) == 0
    wait_until(lambda: len(made) == 5, 20, saying="four are made ahead of the first")
    assert next(ahead) == 1
    wait_until(lambda: len(made) == 6, 20, saying="one more, as one more was taken")
    ahead.close()
    assert made == [*range(6)]


def test_one_that_is_closed_early_ends_what_is_being_made() -> None:
    """Nothing runs on once it is closed."""
    begun, cancelled = threading.Event(), threading.Event()

    def items() -> Iterator[int]:
        yield 0
        begun.set()
        cancelled.wait()
        raise InterruptedError

    ahead = read_ahead(items(), cancelled.set)
    assert next(ahead) == 0
    wait_until(begun.is_set, 20, saying="the second item is being made")
    ahead.close()
    assert cancelled.is_set()
    assert not any(thread.name.startswith("read-ahead") for thread in threading.enumerate())
