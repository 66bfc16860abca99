"""Which request a line of the log is of."""

from __future__ import annotations

import asyncio
import json
import logging
from typing import TYPE_CHECKING

import structlog

from ingest_api.web.asgi_middleware import AsgiMiddleware
from schemas.config.logs import configure_logging
from schemas.runtime.abandoned import shared_task
from tests.support.clients.asgi import scope_of_get

if TYPE_CHECKING:
    import pytest

    from ingest_api.web.asgi_middleware import Message, Receive, Send


async def _fail_after_a_line(scope: Message, _receive: Receive, _send: Send) -> None:
    await asyncio.sleep(0)
    logging.getLogger("a.library").warning("at %s", scope["path"])
    raise RuntimeError


async def _answer(path: str) -> None:
    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(_message: Message) -> None:
        pass

    await AsgiMiddleware(_fail_after_a_line)(scope_of_get(path), receive, send)


def test_each_line_of_a_request_has_its_id(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those of libraries, too, and of requests side by side; what comes after has none."""
    monkeypatch.setenv("ROLLCALL_LOG_FORMAT", "json")
    configure_logging()

    async def both() -> None:
        await asyncio.gather(_answer("/one"), _answer("/two"))

    asyncio.run(both())
    logging.getLogger("a.library").warning("later")
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    told = sorted((line.get("request_id", ""), line["message"]) for line in lines)
    assert told[0] == ("", "later")
    first, second = {request_id for request_id, _ in told} - {""}
    for request_id in (first, second):
        messages = [message for of, message in told if of == request_id]
        assert messages in (
            ["at /one", "request", "request failed"],
            ["at /two", "request", "request failed"],
        )


def test_what_is_done_for_many_requests_has_the_id_of_none(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whichever request it began with; and what that one logs itself keeps its id."""
    monkeypatch.setenv("ROLLCALL_LOG_FORMAT", "json")
    configure_logging()

    async def warn() -> None:
        logging.getLogger("a.library").warning("for all")

    async def one() -> None:
        with structlog.contextvars.bound_contextvars(request_id="7"):
            await shared_task(warn())
            logging.getLogger("a.library").warning("for one")

    asyncio.run(one())
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    told = [(line["message"], line.get("request_id")) for line in lines]
    assert told == [("for all", None), ("for one", "7")]
