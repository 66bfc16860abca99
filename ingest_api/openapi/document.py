"""Makes the OpenAPI 3.1 document of the API from the operations of its routes.

Each route's handler carries an :class:`ingest_api.openapi.operation.Operation`; what
follows from it (who may call, what a list or a JSON body can be refused for) is
added here, so that no route repeats it.
"""

from __future__ import annotations

import re
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Any, Final, cast

import msgspec

from ingest_api.errors import RETRY_AFTER_S, role_too_low
from ingest_api.openapi.operation import (
    JSON,
    LINK,
    RETRY_AFTER,
    Answer,
    either,
    operation_of,
    refused,
    refused_detail,
)
from ingest_api.web.json_body import INVALID_BODY, LIMITS
from ingest_api.web.refused import SERVER_FAILURE, UNAUTHORIZED, code_of
from schemas import __version__

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from sanic import Sanic
    from sanic_routing.route import Route

    from ingest_api.openapi.operation import Operation, Parameter

    Json = dict[str, Any]

_INTRODUCTION: Final = """\
Rollcall imports users in bulk: a CSV goes in over HTTP, becomes one event a row in Kafka,
and the events become the Postgres table `users`, exactly once in effect.

Ids are 63-bit decimals in strings. Dates are written as `06/28/2016 05:49:23 AM GMT`.
Every answer has an `X-Request-Id`, by which the server's log calls the request.
An answer other than 200 has a `message` for people and a `code` for programs, and `details`,
each with a code of its own, where more is known.
A query parameter or form field that a request does not take is refused with 400, the code
`UNKNOWN_PARAMETER` and the name that was probably meant; names are compared exactly.
Passed over are what browsers and forms add by themselves: `_` in a query, `_charset_`, `submit`
and `MAX_FILE_SIZE` in a form.
Roles: `reader` may read; `importer` may also import with insert and upsert, create and modify,
see by dry runs and previews what any import or undo would do, and undo a job of its own while
nobody else has changed the audience since; `manager` may also import with delsert and delete;
`admin` may everything.
"""
_TAGS: Final = {
    "Import": "A file of users becomes a job.",
    "Jobs": "How far a job has come, and which lines it rejected.",
    "Users": "The audience, one user or a page of users at a time.",
    "Attributes": "Custom attributes of users, defined by administrators.",
    "Projections": "The tables that the log makes: rebuilt, and proved equal to the live ones.",
    "Accounts": "Who may call this API, by name and password.",
    "Tokens": "Who may call this API, by token.",
    "Sessions": "Who is signed in at the page.",
    "Audit": "Who changed what, when, and from where.",
    "Webhooks": "Be told of jobs that end and of alarms, by requests or mail.",
    "Producers": "What others append to the log: counted by source, and what can't be applied.",
    "Service": "Whether the service works, and this description.",
}
_SECURITY: Final = {
    "basic": {
        "type": "http",
        "scheme": "basic",
        "description": "Name and password of an account.",
    },
    "bearer": {
        "type": "http",
        "scheme": "bearer",
        "description": "An API token made by an administrator, or a JWT of the configured issuer.",
    },
    "session": {
        "type": "apiKey",
        "in": "cookie",
        "name": "rollcall_session",
        "description": "Of whoever has signed in; beside it a change needs `Rollcall-Page: 1`.",
    },
}
_REFUSED: Final = 400
_EXAMPLE_REQUEST_ID: Final = "5f1d7a84c0b94e36"
_HEADERS: Final[dict[str, Json]] = {
    "X-Request-Id": {"type": "string", "pattern": "^[0-9a-f]{16}$"},
    "Retry-After": {"type": "integer", "minimum": 0, "examples": [RETRY_AFTER_S]},
}
"""Schemas of headers; the others are texts."""
_OPTIONAL_HEADERS: Final = {"Link", "Location"}

_NOT_KNOWN: Final = refused(
    "No valid credentials.", UNAUTHORIZED, headers={"WWW-Authenticate": "How to authenticate."}
)
_LIMITED: Final = refused(
    "Too many logins of this name or from this address have failed, or the account has too many "
    "requests of this kind under way.",
    "Too many failed logins, try again later",
    headers=RETRY_AFTER,
)
_FAILED: Final = refused(
    "The server failed; its log knows why, by the request's id.",
    {"message": SERVER_FAILURE, "requestId": _EXAMPLE_REQUEST_ID},
)
_UNAVAILABLE: Final = refused(
    "Kafka or Postgres can't be reached: nothing was kept.",
    "Postgres can't be reached: nothing was kept, try again",
    headers=RETRY_AFTER,
)
_INVALID_PARAMETER: Final = refused(
    "A parameter is unknown, or not what it may be.",
    refused_detail(
        "Invalid request parameter",
        "INVALID_PARAMETER",
        "pageSize",
        "pageSize is a whole number from 1 to 1000.",
    ),
)
_BODY_REFUSALS: Final = {
    400: refused(
        "The body is not what it may be.",
        refused_detail(INVALID_BODY, "REQUIRED", "name", "name is required."),
    ),
    408: refused(
        "The body did not come in time.", f"No byte of the body came for {LIMITS.idle_s} s"
    ),
    413: refused("The body is too large.", f"The body is larger than {LIMITS.most_bytes} bytes"),
    415: refused(
        "The body is no JSON.", "The body of this request must be application/json in UTF-8"
    ),
}


def document_of(app: Sanic[Any, Any]) -> Json:
    """Return the OpenAPI 3.1 document of all routes of the application.

    Raises:
        LookupError: a route has no operation.
    """
    operations = [(route, _operation(route)) for route in app.router.routes]
    schemas = _Schemas(operation for _, operation in operations)
    paths: dict[str, Json] = {}
    for route, operation in sorted(operations, key=_place):
        for method in sorted(route.methods):
            described = _described(operation, schemas, _examples(route))
            described["operationId"] = _camel(route.handler.__name__)
            paths.setdefault(path_of(route), {})[method.lower()] = described
    used = {operation.tag for _, operation in operations}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Rollcall",
            "version": __version__,
            "description": _INTRODUCTION,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "tags": [{"name": tag, "description": _TAGS[tag]} for tag in _TAGS if tag in used],
        "paths": paths,
        "components": {"schemas": schemas.components, "securitySchemes": _SECURITY},
    }


def path_of(route: Route) -> str:
    """Return the route's path as OpenAPI writes it."""
    return "/" + re.sub(r"<(\w+)(:[^>]*)?>", r"{\1}", route.path)


def _operation(route: Route) -> Operation:
    operation = operation_of(route.handler)
    if operation is None:
        raise LookupError(f"{path_of(route)} is not described: see ingest_api.openapi.operation")
    return operation


def _place(described: tuple[Route, Operation]) -> tuple[int, str, list[str]]:
    """Return the sort key of an operation: its tag, its path, and its methods."""
    route, operation = described
    return list(_TAGS).index(operation.tag), path_of(route), sorted(route.methods)


def _camel(name: str) -> str:
    first, *others = name.split("_")
    return first + "".join(other.capitalize() for other in others)


def _examples(route: Route) -> Json:
    """Return the route's examples from ``examples.json`` of its folder.

    Those of answers are by status and title; ``body`` is one of the request's body.
    """
    folder = route.handler.__module__.rpartition(".")[0]
    return _examples_of_folder(folder).get(_camel(route.handler.__name__), {})


@cache
def _examples_of_folder(folder: str) -> Json:
    file = resources.files(folder).joinpath("examples.json")
    return msgspec.json.decode(file.read_bytes()) if file.is_file() else {}


class _Schemas:
    """The JSON Schemas of all types that the operations name."""

    def __init__(self, operations: Iterable[Operation]) -> None:
        kinds = [kind for operation in operations for kind in _kinds(operation)]
        schemas, self.components = msgspec.json.schema_components(
            kinds, ref_template="#/components/schemas/{name}"
        )
        self._by_kind = dict(zip(map(id, kinds), schemas, strict=True))

    def of(self, body: object) -> Json:
        """Return the schema of a body, see :class:`ingest_api.openapi.operation.Answer`."""
        if isinstance(body, dict):
            return cast("Json", body)
        if isinstance(body, tuple):
            return {"anyOf": [self.of(kind) for kind in cast("tuple[object, ...]", body)]}
        return self._by_kind[id(body)]


def _kinds(operation: Operation) -> Iterator[Any]:
    """Yield the types of all bodies that the operation takes or answers."""
    bodies = [body for answer in answers_of(operation).values() for body in answer.bodies.values()]
    for body in (*bodies, *(operation.body or {}).values()):
        if isinstance(body, tuple):
            yield from cast("tuple[Any, ...]", body)
        elif not isinstance(body, dict):
            yield body


def answers_of(operation: Operation) -> dict[int, Answer]:
    """Return all answers of an operation by status, with those that follow from its role etc."""
    found: dict[int, list[Answer]] = {code: [answer] for code, answer in operation.answers.items()}
    for code, answer in _following(operation):
        found.setdefault(code, []).append(answer)
    return {code: either(*found[code]) for code in sorted(found)}


def _following(operation: Operation) -> Iterator[tuple[int, Answer]]:
    yield 400, _INVALID_PARAMETER
    if operation.is_paged:
        yield 200, Answer("", {}, headers=LINK)
    if JSON in (operation.body or {}):
        yield from _BODY_REFUSALS.items()
    yield 500, _FAILED
    if operation.role is not None:
        message = role_too_low(operation.role).message
        yield 401, _NOT_KNOWN
        yield 403, refused("The role is too low, or the JWT names none.", message)
        yield 429, _LIMITED
        yield 503, _UNAVAILABLE


def _described(operation: Operation, schemas: _Schemas, examples: Json) -> Json:
    found: Json = {"tags": [operation.tag], "summary": operation.summary}
    found["description"] = "\n\n".join(filter(None, [operation.description, _role(operation)]))
    found["parameters"] = [_parameter(parameter) for parameter in operation.all_parameters]
    if operation.body is not None:
        contents = _contents(operation.body, schemas)
        # Not under "examples": of those the viewer's editor shows none at first.
        next(iter(contents.values()))["example"] = examples.get("body")
        found["requestBody"] = {"required": operation.is_body_required, "content": contents}
    found["responses"] = {
        str(code): _answer(
            answer, schemas, _with_code(code, {**examples.get(str(code), {}), **answer.examples})
        )
        for code, answer in answers_of(operation).items()
    }
    found["security"] = [] if operation.role is None else [{name: []} for name in _SECURITY]
    return found


def _role(operation: Operation) -> str:
    return f"Role: `{operation.role}`." if operation.role else "Anybody may call it."


def _parameter(parameter: Parameter) -> Json:
    found: Json = {
        "name": parameter.name,
        "in": parameter.place,
        "required": parameter.is_required or parameter.place == "path",
        "description": parameter.description,
        "schema": dict(parameter.schema),
    }
    if parameter.example is not None:
        found["example"] = parameter.example
    return found


def _answer(answer: Answer, schemas: _Schemas, examples: Json) -> Json:
    headers = {"X-Request-Id": "By which the server's log calls the request.", **answer.headers}
    found: Json = {
        "description": answer.description,
        "headers": {
            name: {
                "description": text,
                "required": name not in _OPTIONAL_HEADERS,
                "schema": _HEADERS.get(name, {"type": "string"}),
            }
            for name, text in headers.items()
        },
    }
    if answer.bodies:
        found["content"] = _contents(answer.bodies, schemas)
        next(iter(found["content"].values()))["examples"] = _named(examples)
    return found


def _with_code(status: int, examples: Mapping[str, Any]) -> Json:
    """Return the examples; those of refusals have a code."""
    return {
        name: {**body, "code": body.get("code", code_of(status, body["message"]))}
        if status >= _REFUSED and "message" in body
        else body
        for name, body in examples.items()
    }


def _contents(bodies: Mapping[str, Any], schemas: _Schemas) -> dict[str, Json]:
    return {media_type: {"schema": schemas.of(kind)} for media_type, kind in bodies.items()}


def _named(examples: Mapping[str, object]) -> Json:
    """Return the examples under names that OpenAPI allows, each with its title as summary."""
    return {
        re.sub(r"[^A-Za-z0-9]+", "-", name).strip("-"): {"summary": name, "value": value}
        for name, value in examples.items()
    }
