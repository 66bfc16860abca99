"""The OpenAPI description says all that it must, of every route."""

from __future__ import annotations

import ast
import json
import re
from typing import TYPE_CHECKING, Any

import jsonschema_rs
import pytest
from sanic import Sanic

from ingest_api.openapi.document import document_of, path_of
from ingest_api.openapi.response_types import Live
from ingest_api.web.responses import json_answer
from tests.support.checkout import CHECKOUT
from tests.support.clients.description import application, document, operations

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sanic import HTTPResponse, Request

    Json = dict[str, Any]


def bodies(operation: Json) -> Iterator[tuple[str, list[Json]]]:
    """What the operation takes and answers: of each body its kinds, with schema and examples."""
    if "requestBody" in operation:
        yield "body", list(operation["requestBody"]["content"].values())
    for code, answer in operation["responses"].items():
        if "content" in answer:
            yield code, list(answer["content"].values())


def test_every_route_is_described() -> None:
    """Each of its methods, under a name of its own."""
    described = {name for name, _ in operations()}
    assert described == {
        f"{method} {path_of(route)}"
        for route in application().router.routes
        for method in route.methods
    }
    names = [operation["operationId"] for _, operation in operations()]
    assert len(names) == len(set(names))


def test_a_route_that_says_nothing_of_itself_is_named() -> None:
    """So nobody adds one without a word."""
    app: Sanic[Any, Any] = Sanic("undescribed", configure_logging=False)

    @app.get("/silent")
    async def silent(_request: Request[Any, Any]) -> HTTPResponse:
        return json_answer(200, Live(status="live"))

    _ = silent
    with pytest.raises(LookupError, match="/silent is not described"):
        document_of(app)
    Sanic.unregister_app(app)


def test_the_document_is_valid() -> None:
    """By OpenAPI's own schema of 3.1, which the viewer reads."""
    from schemathesis.specs.openapi.definitions import OPENAPI_31_VALIDATOR  # noqa: PLC0415 - slow

    assert [str(error) for error in OPENAPI_31_VALIDATOR.iter_errors(document())] == []


def test_every_body_has_an_example_and_it_is_right() -> None:
    """By the schema that stands beside it."""
    for name, operation in operations():
        for place, kinds in bodies(operation):
            examples = [
                (kind["schema"], example)
                for kind in kinds
                for example in (
                    *([kind["example"]] if kind.get("example") is not None else []),
                    *(named["value"] for named in kind.get("examples", {}).values()),
                )
            ]
            assert examples, f"{name}: {place} has no example"
            for schema, example in examples:
                whole = schema | {"components": document()["components"]}
                errors = jsonschema_rs.validator_for(whole).iter_errors(example)
                assert [str(error) for error in errors] == [], f"{name}: {place}"


def kept_examples() -> Iterator[tuple[str, str, Json]]:
    """What stands in the files beside the routes: the operation, the code or body, the examples."""
    for file in sorted((CHECKOUT / "ingest_api").glob("*/examples.json")):
        for name, places in json.loads(file.read_text()).items():
            yield from ((name, place, examples) for place, examples in places.items())


def test_every_example_of_a_file_is_shown() -> None:
    """So none is left behind where a route, or an answer of it, goes or has another name."""
    by_name = {operation["operationId"]: dict(bodies(operation)) for _, operation in operations()}
    for name, place, examples in kept_examples():
        shown = json.dumps(by_name.get(name, {}).get(place))
        for example in [examples] if place == "body" else examples.values():
            assert json.dumps(example) in shown, f"{name}: {place}"


def test_the_messages_of_examples_are_those_of_the_code() -> None:
    """Word for word, so that a text that changes in the code changes in its example too."""
    texts = {
        node.value
        for package in ("ingest_api", "schemas")
        for file in (CHECKOUT / package).glob("**/*.py")
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.Constant)
    }
    for name, place, examples in kept_examples():
        if place != "body":
            messages = re.findall(r'"message": ("[^"]*")', json.dumps(examples))
            assert {json.loads(message) for message in messages} <= texts, f"{name}, {place}"


def test_every_parameter_of_a_path_is_described() -> None:
    """With an example, so that an operation can be tried as it stands."""
    for path, methods in document()["paths"].items():
        for operation in methods.values():
            shown = {each["name"]: each for each in operation["parameters"] if each["in"] == "path"}
            assert set(shown) == set(re.findall(r"{(\w+)}", path)), path
            assert all(parameter.get("example") for parameter in shown.values()), path


def test_a_body_is_read_only_once_it_is_known_who_sends_it() -> None:
    """So no route lets the framework read it, which it does first, of any size."""
    for route in application().router.routes:
        is_read_by_handler = getattr(route.handler, "is_stream", False)
        assert is_read_by_handler or route.extra.ignore_body, f"{path_of(route)}: stream=True"


def test_a_json_body_has_no_fields_but_those_described() -> None:
    """A misspelt one is refused, not ignored."""
    for name, operation in operations():
        content = operation.get("requestBody", {}).get("content", {}).get("application/json")
        if content is not None:
            kind = content["schema"]["$ref"].rpartition("/")[2]
            schema = document()["components"]["schemas"][kind]
            assert schema["additionalProperties"] is False, f"{name}: {kind}"
