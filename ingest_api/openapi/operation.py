"""The operation of each route, declared beside its handler: the source of the OpenAPI document.

A handler is described by :func:`ingest_api.openapi.described.described`;
:mod:`ingest_api.openapi.document` makes the document of the descriptions of all routes.
Bodies and answers are ``msgspec.Struct`` types, whose JSON Schema msgspec makes.
What a route answers instead, because it must, is said by :func:`refused`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal

from ingest_api.errors import INVALID_PARAMETER
from ingest_api.web.dates import DATE_FORMATS
from ingest_api.web.refused import Refusal

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import msgspec

    from ingest_api.web.roles import Role

Tag = Literal[
    "Import",
    "Jobs",
    "Users",
    "Attributes",
    "Projections",
    "Accounts",
    "Tokens",
    "Sessions",
    "Audit",
    "Producers",
    "Service",
]
Work = Literal["search", "export", "error file", "stream"]
"""What an account may have a few of at once: queries that may read much, and long answers."""
JSON: Final = "application/json"
TEXT_BODY: Final = {"type": "string"}
BINARY_BODY: Final = {"type": "string", "format": "binary"}
RETRY_AFTER: Final = {"Retry-After": "Seconds after which it may be sent again."}
_TEXT: Final = {"type": "string", "minLength": 1}
_FROM_0: Final = {"type": "integer", "minimum": 0, "maximum": 2**63 - 1, "default": 0}
LINK: Final = {"Link": 'The next page, by `rel="next"`; left out with the last one.'}
_ATTRIBUTE: Final = "rollcall_operation"


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """One parameter of a route; ``schema`` is its JSON Schema."""

    name: str
    place: Literal["query", "header", "path"]
    description: str
    schema: Mapping[str, Any]
    is_required: bool = False
    example: object = None


def query_parameter(
    name: str, description: str, *, example: object = None, schema: Mapping[str, Any] = _TEXT
) -> Parameter:
    """Return a parameter of the query: some text, unless the schema says otherwise."""
    return Parameter(
        name=name, place="query", description=description, schema=schema, example=example
    )


def path_parameter(name: str, description: str, *, example: str, **rule: object) -> Parameter:
    """Return a parameter of the path: a text; a rule is more of its JSON Schema."""
    schema = {"type": "string", **rule}
    return Parameter(
        name=name, place="path", description=description, schema=schema, example=example
    )


def flag_parameter(name: str, description: str) -> Parameter:
    """Return a parameter of the query that is true or false, and false where it is left out."""
    schema = {"type": "string", "enum": ["true", "false"], "default": "false"}
    return query_parameter(name, description, schema=schema)


def idempotency_key(description: str) -> Parameter:
    """Return the header ``Idempotency-Key``; the description says what it does here."""
    return Parameter(
        name="Idempotency-Key",
        place="header",
        description=description,
        schema={"type": "string", "minLength": 1, "maxLength": 255},
    )


def after_parameter(description: str, example: int) -> Parameter:
    """Return the parameter `after`: the number of the last entry of the page before."""
    return query_parameter("after", description, schema=_FROM_0, example=example)


def page_parameters(most: int = 1000, default: int = 20) -> tuple[Parameter, Parameter]:
    """Return the parameters ``start`` and ``pageSize``, as every list takes them."""
    size = {"type": "integer", "minimum": 1, "maximum": most, "default": default}
    return (
        query_parameter("start", "Index of the first, from 0.", schema=_FROM_0),
        query_parameter("pageSize", "How many at most.", schema=size),
    )


DATE_FORMAT: Final = query_parameter(
    "dateFormat",
    "How the answer's JSON writes dates: `contract` as `06/28/2016 05:49:23 AM GMT`, `iso` as "
    "RFC 3339: `2016-06-28T05:49:23.172Z`, and days as `2016-06-28`.",
    schema={"type": "string", "enum": list(DATE_FORMATS), "default": DATE_FORMATS[0]},
)
"""What every request that needs a role may also say."""


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer of a route.

    ``bodies`` has by media type a type that msgspec knows, a tuple of such types where
    it is one of them, or a JSON Schema.
    ``examples`` are of the first media type, by what they are examples of; others stand in
    ``examples.json`` beside the routes.
    ``headers`` has by name what a header says.
    """

    description: str
    bodies: Mapping[str, Any]
    examples: Mapping[str, object] = field(default_factory=dict[str, object])
    headers: Mapping[str, str] = field(default_factory=dict[str, str])


def answer(description: str, *kinds: type[msgspec.Struct]) -> Answer:
    """Return an answer whose JSON is of this type, or of one of these."""
    return Answer(description, {JSON: kinds[0] if len(kinds) == 1 else kinds})


def refused(
    description: str,
    example: str | Mapping[str, Any] | None = None,
    *,
    headers: Mapping[str, str] | None = None,
) -> Answer:
    """Return the answer of a request that is refused, with one example of its body.

    The example may be its message alone, which is the description where none is given.
    """
    body = {"message": example or description} if isinstance(example, str | None) else example
    return Answer(description, {JSON: Refusal}, {description: body}, headers or {})


def refused_detail(message: str, code: str, column: str | None, detail: str) -> dict[str, Any]:
    """Return the body of a refusal with one detail that is no line's fault."""
    found = {"line": None, "column": column, "code": code, "message": detail}
    return {"message": message, "details": [found]}


def either(*answers: Answer) -> Answer:
    """Combine answers that share a status into one."""
    return Answer(
        " Or: ".join(dict.fromkeys(answer.description for answer in answers if answer.description)),
        {kind: body for answer in reversed(answers) for kind, body in answer.bodies.items()},
        {name: one for answer in answers for name, one in answer.examples.items()},
        {name: text for answer in answers for name, text in answer.headers.items()},
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """What a route takes and answers.

    ``role`` is the lowest that may call it, None where anybody may; the answers
    that follow from it (401, 403, 500, 503), from parameters (400) and from a JSON
    body (400, 408, 413, 415) are not repeated here.
    ``body`` has by media type what the request's body is, as :class:`Answer` has it.
    ``work`` is the kind whose limit of an account holds for it; None where it is always short.
    A query parameter that is not among ``parameters`` is refused with ``invalid_message``.
    ``act``: the kind by which the audit log calls what it changes; None where it changes nothing,
    or where what it changes is told by records of its own.
    """

    summary: str
    tag: Tag
    role: Role | None
    answers: Mapping[int, Answer]
    description: str = ""
    parameters: tuple[Parameter, ...] = ()
    body: Mapping[str, Any] | None = None
    is_body_required: bool = True
    work: Work | None = None
    invalid_message: str = INVALID_PARAMETER
    act: str | None = None

    @property
    def all_parameters(self) -> tuple[Parameter, ...]:
        """Those of its own, and those that every request takes."""
        return self.parameters if self.role is None else (*self.parameters, DATE_FORMAT)

    @property
    def is_paged(self) -> bool:
        """True where it answers a page of a list, by ``start``."""
        return any(each.name == "start" for each in self.parameters)


def describe_by(handler: Callable[..., Any], operation: Operation) -> None:
    """Have the handler carry what it promises."""
    setattr(handler, _ATTRIBUTE, operation)


def operation_of(handler: Callable[..., Any]) -> Operation | None:
    """Return what the handler promises, or None where nobody has said it."""
    return getattr(handler, _ATTRIBUTE, None)
