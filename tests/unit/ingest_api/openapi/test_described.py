"""No route answers with anything but what it is described to answer with."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import msgspec
import pytest
from sanic.response import HTTPResponse

from ingest_api.openapi.described import Answered, UndescribedAnswerError, described
from ingest_api.openapi.operation import JSON, Answer, Operation


class Cat(msgspec.Struct, rename="camel"):
    """What the operation describes."""

    pet_name: str


class Dog(msgspec.Struct):
    """What it doesn't."""

    pet_name: str


class Queue(msgspec.Struct):
    """Described with two statuses."""

    length: int


OPERATION = Operation(
    summary="A pet",
    tag="Service",
    role=None,
    answers={
        200: Answer(description="It.", bodies={JSON: Cat}),
        202: Answer(description="Soon.", bodies={JSON: Queue}),
        204: Answer(description="None.", bodies={}),
        206: Answer(description="A picture.", bodies={"image/png": {"type": "string"}}),
        503: Answer(description="Later.", bodies={JSON: Queue}),
    },
)


def answer(found: Any) -> HTTPResponse | None:
    """What is sent where a handler of the operation returns this."""

    async def handler(_request: object) -> Any:
        return found

    return asyncio.run(described(OPERATION)(handler)(None))


def test_a_described_body_is_sent_with_its_status() -> None:
    """By the names of its type."""
    sent = answer(Cat("Zo\u00eb"))
    assert sent is not None
    assert (sent.status, sent.body) == (200, '{"petName":"Zo\u00eb"}'.encode())
    assert sent.headers["Cache-Control"] == "no-store"


def test_a_body_may_have_headers_and_say_which_of_its_statuses_it_means() -> None:
    """Where one type is described with several."""
    sent = answer(Answered(Queue(7), {"Retry-After": "5"}, status=503))
    assert sent is not None
    assert (sent.status, json.loads(sent.body or b""), sent.headers["Retry-After"]) == (
        503,
        {"length": 7},
        "5",
    )


def test_bytes_are_sent_where_they_are_described_as_such() -> None:
    """Or where there is no body."""
    for response in (HTTPResponse(status=204), HTTPResponse(b"PNG", 206, content_type="image/png")):
        assert answer(response) is response
    assert answer(None) is None


@pytest.mark.parametrize(
    "found",
    [
        Dog("Rex"),
        Queue(7),
        Answered(Queue(7), status=200),
        Answered(Cat("Zoe"), status=503),
        HTTPResponse(b'{"petName":"Rex"}', 200, content_type="application/json"),
        HTTPResponse(b"", 418),
    ],
)
def test_nothing_else_is_sent(found: Any) -> None:
    """Of another type, with another status, or JSON that no type has made."""
    with pytest.raises(UndescribedAnswerError, match="A pet"):
        answer(found)
