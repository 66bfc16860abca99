"""HTTP is decided at its edge: what is answered to an error, and who knows the framework."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, cast

import grimp
import msgspec
import pytest

from ingest_api import errors
from ingest_api.web.encoding import encoded
from ingest_api.web.refused import Refused, status_of
from ingest_api.web.responses import refusal

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ingest_api.errors import IngestError

_MAY_KNOW_THE_FRAMEWORK = (
    "ingest_api.app",
    "ingest_api.web",
    "ingest_api.__main__",
    "ingest_api.openapi.described",
)


def kinds(kind: type[IngestError]) -> Iterator[type[IngestError]]:
    """The errors below this one."""
    for each in kind.__subclasses__():
        yield each
        yield from kinds(each)


def body_of(error: IngestError | Refused) -> tuple[int, dict[str, Any], str | None]:
    """Status, body and Retry-After of the answer."""
    answer = refusal(error)
    assert answer.body is not None
    retry_after = cast("str | None", answer.headers.get("Retry-After"))
    return answer.status, json.loads(answer.body), retry_after


def test_every_error_has_its_status() -> None:
    """Also one that is added below another."""
    found = {kind.__name__: status_of(kind) for kind in kinds(errors.IngestError)}
    assert found["UnknownJobError"] == found["InvalidRequestError"] == 400
    assert found["LogTruncatedError"] == found["ConflictError"] == 409
    assert found["StoreUnavailableError"] == found["LogUnavailableError"] == 503


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (
            errors.UnknownJobError(),
            (400, {"message": errors.UNKNOWN_JOB, "code": "UNKNOWN_JOB"}, None),
        ),
        (
            errors.invalid_file(errors.Detail("EMPTY_FILE", "It is empty.", line=1)),
            (
                400,
                {
                    "message": errors.INVALID_FILE,
                    "code": "INVALID_REQUEST",
                    "details": [
                        {"line": 1, "column": None, "code": "EMPTY_FILE", "message": "It is empty."}
                    ],
                },
                None,
            ),
        ),
        (
            errors.LimitReachedError("Too many", 17),
            (429, {"message": "Too many", "code": "LIMIT_REACHED"}, "17"),
        ),
        (
            errors.UnavailableError("Who knows", job_id=7, event_id="a1"),
            (503, {"message": "Who knows", "code": "UNAVAILABLE", "id": "7", "eventId": "a1"}, "5"),
        ),
        (
            errors.StoreUnavailableError("connection refused"),
            (503, {"message": errors.STORE_UNAVAILABLE, "code": "STORE_UNAVAILABLE"}, "5"),
        ),
        (
            errors.LogUnavailableError("_MSG_TIMED_OUT"),
            (503, {"message": errors.LOG_UNAVAILABLE, "code": "LOG_UNAVAILABLE"}, "5"),
        ),
        (
            Refused(415, "No JSON"),
            (415, {"message": "No JSON", "code": "UNSUPPORTED_MEDIA_TYPE"}, None),
        ),
    ],
)
def test_an_error_is_answered_with_what_it_says(
    error: IngestError | Refused, expected: tuple[int, dict[str, Any], str | None]
) -> None:
    """With its details or ids; what a client library says of a fault stays inside."""
    assert body_of(error) == expected


class Named(msgspec.Struct):
    """A body with a text."""

    name: str


def test_every_text_can_be_answered() -> None:
    """UTF-8 has no lone surrogates; all other characters stand as they are."""
    assert encoded(Named("Zoë \U0001f600 \ud800")) == '{"name":"Zoë \U0001f600 ?"}'.encode()


def test_only_the_edge_knows_the_framework() -> None:
    """Routes, what wires them, and ``web``: every other module can be used without it."""
    graph = grimp.build_graph(
        "ingest_api", include_external_packages=True, exclude_type_checking_imports=True
    )
    modules = [name for name in graph.modules if name.startswith("ingest_api.")]
    below = [
        name
        for name in modules
        if not name.startswith(_MAY_KNOW_THE_FRAMEWORK) and not name.endswith("routes")
    ]
    assert len(below) > 80
    found = [graph.find_shortest_chain(importer=name, imported="sanic") for name in below]
    assert [chain for chain in found if chain] == []
