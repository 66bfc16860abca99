"""What each route promises, said once beside its handler: the source of the OpenAPI description.

A handler is described by :func:`described`; :mod:`ingest_api.openapi` reads the
descriptions of all routes and makes the document of them.
Bodies and answers are ``msgspec.Struct`` types, whose JSON Schema msgspec makes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal, TypeVar

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ingest_api.accounts import Role

_ATTRIBUTE: Final = "rollcall_operation"
_Handler = TypeVar("_Handler", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """One parameter of a route; ``schema`` is its JSON Schema."""

    name: str
    place: Literal["query", "header", "path"]
    description: str
    schema: Mapping[str, Any]
    is_required: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """One answer of a route.

    ``bodies`` has by media type a type that msgspec knows, or a JSON Schema.
    """

    description: str
    bodies: Mapping[str, Any]
    example: object = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """What a route takes and answers.

    ``role`` is the lowest that may call it, None where anybody may; the answers
    that follow from it (401, 403, 500, 503) are not repeated here.
    ``body`` has by media type what the request's body is, as :class:`Answer` has it.
    """

    summary: str
    tag: str
    role: Role | None
    answers: Mapping[int, Answer]
    description: str = ""
    parameters: tuple[Parameter, ...] = ()
    body: Mapping[str, Any] | None = None
    body_example: object = None


def described(
    operation: Operation,
) -> Callable[[_Handler], _Handler]:
    """Say what the decorated handler promises; stands below the route's decorator."""

    def describe(handler: _Handler) -> _Handler:
        setattr(handler, _ATTRIBUTE, operation)
        return handler

    return describe


def operation_of(handler: Callable[..., Any]) -> Operation | None:
    """What the handler promises, or None where nobody has said it."""
    return getattr(handler, _ATTRIBUTE, None)
