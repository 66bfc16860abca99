"""Enter opens the page, and nothing waits for it."""

from __future__ import annotations

import os

from deploy.cli.page_offer import PageOffer

URL = "http://127.0.0.1:8080/"


def test_each_line_opens_the_page_and_a_closed_terminal_is_left_alone() -> None:
    """Without a line, and in the background, nothing is read."""
    opened: list[str] = []
    is_ours = True
    reading, writing = os.pipe()
    with os.fdopen(reading) as terminal, os.fdopen(writing, "w") as keyboard:
        offer = PageOffer(URL, terminal, lambda _: is_ours, opened.append)
        offer.check()
        assert opened == []
        keyboard.write("\n")
        keyboard.flush()
        is_ours = False
        offer.check()
        assert opened == []
        is_ours = True
        offer.check()
        assert opened == [URL]
        keyboard.close()
        offer.check()
        offer.check()
        assert opened == [URL]


def test_nobody_at_a_terminal_is_offered_nothing() -> None:
    """The check does nothing."""
    opened: list[str] = []
    PageOffer(URL, None, lambda _: True, opened.append).check()
    assert opened == []
