"""One try to deliver a notice to a real receiver."""

from __future__ import annotations

import asyncio
from typing import Final

from ingest_api.notices.events import new_notice
from ingest_api.notices.http_post import post
from tests.support.servers.scripted_server import Answer, scripted_server

NO_HOST: Final = "https://crm..example.org/hook"
SECRET: Final = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oDp2ZMbLO3yDc="


def posted(url: str, *, allows_private: bool = True) -> tuple[bool, int | None, str]:
    """What came of it."""
    notice = new_notice("webhook.test", {})
    answer = asyncio.run(post(url, SECRET, notice, allows_private=allows_private))
    return answer.is_taken, answer.status, answer.text


def test_no_request_goes_to_a_private_address() -> None:
    """Whatever the name is that leads there."""
    with scripted_server({"/hook": [Answer()]}) as server:
        for url in (f"{server.url}/hook", f"{server.url}/hook".replace("127.0.0.1", "localhost")):
            is_taken, status, text = posted(url, allows_private=False)
            assert (is_taken, status) == (False, None)
            assert "no public address" in text
        assert server.asked == []
        assert posted(f"{server.url}/hook") == (True, 200, "{}")


def test_no_redirect_is_followed_and_little_of_an_answer_is_read() -> None:
    """A receiver leads nowhere, and fills no memory."""
    answers = {
        "/away": [Answer(302, "", {"Location": "/hook"})],
        "/hook": [Answer()],
        "/long": [Answer(500, "x" * 1_000_000)],
    }
    with scripted_server(answers) as server:
        assert posted(f"{server.url}/away")[:2] == (False, 302)
        assert [each.path for each in server.asked] == ["/away"]
        assert posted(f"{server.url}/long") == (False, 500, "x" * 2048)


def test_a_receiver_that_is_not_there_is_an_answer_too() -> None:
    """With what went wrong in words."""
    with scripted_server({}) as server:
        gone = server.url
    assert posted(f"{gone}/hook")[:2] == (False, None)
    is_taken, _, text = posted("https://no-such-host.invalid/hook")
    assert not is_taken
    assert text


def test_a_name_that_no_host_has_is_an_answer() -> None:
    """Of webhooks that were made before such names were refused."""
    is_taken, status, text = posted(NO_HOST)
    assert (is_taken, status) == (False, None)
    assert "crm..example.org" in text
