"""Makes handlers answer with the types that their operation describes, and with nothing else.

A handler returns a value of one of the types that its operation names; what is sent
is made of it here, so an answer can't drift from its description.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import wraps
from typing import TYPE_CHECKING, Any, cast

import msgspec
from sanic.response import HTTPResponse

from ingest_api.openapi.operation import describe_by
from ingest_api.web.paging import next_link, page_of
from ingest_api.web.parameters import query_values
from ingest_api.web.responses import json_answer

if TYPE_CHECKING:
    from collections.abc import Coroutine, Iterator, Mapping

    from sanic import Request

    from ingest_api.openapi.operation import Operation


@dataclass(frozen=True, slots=True)
class Answered:
    """A body with headers of its own; ``status`` is said where it doesn't follow from the type."""

    body: msgspec.Struct
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    status: int | None = None


_Found = msgspec.Struct | Answered | HTTPResponse | None
_Handler = Callable[..., Awaitable[_Found]]
_Described = Callable[..., "Coroutine[Any, Any, HTTPResponse | None]"]


class UndescribedAnswerError(TypeError):
    """A handler has answered with what its operation doesn't describe."""


def described(operation: Operation) -> Callable[[_Handler], _Described]:
    """Let the decorated handler answer what the operation promises; stands below the route's.

    The handler may return None where it has sent a stream itself, and an answer of bytes
    where the operation describes them by a JSON Schema, or no body.

    Raises:
        UndescribedAnswerError: at a request, the handler has returned anything else.
    """

    def describe(handler: _Handler) -> _Described:
        @wraps(handler)
        async def answer(*args: Any, **kwargs: Any) -> HTTPResponse | None:
            found = await handler(*args, **kwargs)
            if isinstance(found, msgspec.Struct):
                found = Answered(found)
            if isinstance(found, Answered):
                headers = {**_next_page(operation, found.body, args[0]), **found.headers}
                return json_answer(_status(operation, found), found.body, headers)
            if found is not None:
                _check_bytes(operation, found)
            return found

        describe_by(answer, operation)
        return answer

    return describe


def _next_page(
    operation: Operation, body: msgspec.Struct, request: Request[Any, Any]
) -> Mapping[str, str]:
    """Return the header that leads to the next page by its index, if there is one."""
    total = getattr(body, "total", 0)
    if not operation.is_paged or "after" in query_values(request):
        return {}
    values = (getattr(body, name) for name in body.__struct_fields__)
    count = next(len(cast("list[object]", value)) for value in values if isinstance(value, list))
    end = page_of(request).start + count
    return {"Link": next_link(request, start=end)} if count > 0 and end < total else {}


def _status(operation: Operation, found: Answered) -> int:
    """Return the status that the body's type is described with."""
    kind = type(found.body)
    statuses = [status for status, each in _bodies(operation) if each is kind]
    if found.status is not None and found.status in statuses:
        return found.status
    if found.status is None and len(statuses) == 1:
        return statuses[0]
    raise UndescribedAnswerError(
        f"{operation.summary}: {kind.__name__} is described with {statuses or 'no status'}"
    )


def _check_bytes(operation: Operation, response: HTTPResponse) -> None:
    media_type = (response.content_type or "").partition(";")[0]
    answer = operation.answers.get(response.status)
    if answer is None or (media_type and not isinstance(answer.bodies.get(media_type), dict)):
        raise UndescribedAnswerError(
            f"{operation.summary}: {response.status} {media_type} is not described as bytes"
        )


def _bodies(operation: Operation) -> Iterator[tuple[int, object]]:
    for status, answer in operation.answers.items():
        for body in answer.bodies.values():
            if isinstance(body, tuple):
                yield from ((status, kind) for kind in cast("tuple[object, ...]", body))
            else:
                yield status, body
