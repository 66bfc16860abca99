"""Every operation of a running installation answers as its description says, whatever is sent.

Requests are made from the description itself: right ones, wrong ones, and such
as lie at the edges; the same ones in each run.
"""

from __future__ import annotations

import copy
import re
from typing import TYPE_CHECKING, Any

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis import checks
from schemathesis.config import (
    GenerationConfig,
    PhasesConfig,
    ProjectConfig,
    ProjectsConfig,
    SchemathesisConfig,
    StatefulPhaseConfig,
)
from schemathesis.specs.openapi import checks as contract

from tests.description import document, operations

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.rig import Rig

EXAMPLES = 40
"""Of each operation, beside those at the edges; more are left to a longer run."""
CHECKS: list[Any] = [
    checks.not_a_server_error,
    contract.status_code_conformance,
    contract.content_type_conformance,
    contract.response_headers_conformance,
    contract.response_schema_conformance,
    contract.negative_data_rejection,
    contract.missing_required_header,
    contract.unsupported_method,
]


@pytest.fixture(scope="module")
def session(rig_of_module: Rig) -> Iterator[requests.Session]:
    """The administrator's, over connections that are kept."""
    with requests.Session() as made:
        made.trust_env = False
        made.auth = ("admin", rig_of_module.env.password)
        yield made


def described() -> Any:
    """The description, read strictly: no name that it does not know."""
    strict = copy.deepcopy(document())
    for schema in strict["components"]["schemas"].values():
        if "properties" in schema:
            schema.setdefault("additionalProperties", False)
    generation = GenerationConfig(
        max_examples=EXAMPLES, deterministic=True, with_security_parameters=False
    )
    stateless = PhasesConfig(stateful=StatefulPhaseConfig(enabled=False))
    project = ProjectConfig(generation=generation, phases=stateless)
    config = SchemathesisConfig(seed=4, projects=ProjectsConfig(default=project))
    return schemathesis.openapi.from_dict(strict, config=config)


@described().parametrize()
@settings(
    max_examples=EXAMPLES,
    derandomize=True,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.too_slow],
)
def test_every_answer_is_as_described(
    case: schemathesis.Case[Any], rig_of_module: Rig, session: requests.Session
) -> None:
    """Its code, its media type, its headers, its body; and what is wrong is refused."""
    case.call_and_validate(
        base_url=rig_of_module.client.url,
        session=session,
        checks=CHECKS,
        timeout=30,
    )
    rig_of_module.services.assert_running()


@pytest.mark.parametrize(("name", "operation"), list(operations()))
def test_who_is_not_known_is_refused(
    rig_of_module: Rig, name: str, operation: dict[str, Any]
) -> None:
    """Wherever the description says that an account is needed, and nowhere else."""
    method, path = name.split(" ")
    url = rig_of_module.client.url + re.sub(r"{\w+}", "1", path)
    answer = requests.request(method, url, timeout=30)
    assert (answer.status_code == 401) == bool(operation["security"])


def test_the_description_is_that_of_the_code(rig_of_module: Rig) -> None:
    """Whatever installation serves it, and anybody may read it."""
    answer = requests.get(f"{rig_of_module.client.url}/openapi.json", timeout=30)
    assert answer.json() == document()
