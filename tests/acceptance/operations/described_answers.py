"""Every operation of a running installation answers as its description says, whatever is sent.

Requests are made from the description itself: right ones, wrong ones, and such
as lie at the edges; the same ones in each run. `test_openapi.py` runs these tests.
"""

from __future__ import annotations

import copy
import re
from typing import TYPE_CHECKING, Any

import pytest
import requests
import schemathesis
from confluent_kafka import Producer
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

from tests.support.clients.description import document, operations
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.servers.rig import Rig

API = "/vpns/api/v1"
EXAMPLES = 6
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
    # schemathesis reads the schema of a stream as that of each event.
    events = strict["paths"][f"{API}/batchinfo/status/{{job_id}}/events"]["get"]
    stream = events["responses"]["200"]["content"]["text/event-stream"]
    stream["schema"] = {"type": "object", "required": ["id", "data"]}
    generation = GenerationConfig(
        max_examples=EXAMPLES, deterministic=True, with_security_parameters=False
    )
    stateless = PhasesConfig(stateful=StatefulPhaseConfig(enabled=False))
    project = ProjectConfig(generation=generation, phases=stateless)
    config = SchemathesisConfig(seed=4, projects=ProjectsConfig(default=project))
    return schemathesis.openapi.from_dict(strict, config=config)


DESCRIBED = described()


@DESCRIBED.parametrize()
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
        timeout=60,
    )
    rig_of_module.services.assert_running()


HEADER = "First Name,Last Name,Email,Country,Shoe Size\n"
LINES = "Ada,Lovelace,ada@there.example,India,38.5\nNo,Address,none,India,=1+1\n"
CHANGED = LINES.replace("Ada", "Augusta") + "Grace,Hopper,grace@there.example,India,\n"


def dry_run(mode: str, lines: str) -> dict[str, Any]:
    """A dry run of an upload in this mode."""
    return {
        "query": {"dryRun": "true"},
        "body": {"uploadFile": (HEADER + lines).encode(), "importType": mode},
        "media_type": "multipart/form-data",
    }


DIFF: dict[str, Any] = {"query": {"from": "now", "to": "now"}}
CANCEL = f"{API}/batchinfo/cancel/{{job_id}}"
FOUND: list[tuple[str, str, dict[str, Any]]] = [
    ("GET", f"{API}/batchinfo/status", {}),
    ("GET", f"{API}/batchinfo/status/{{job_id}}", {}),
    ("GET", f"{API}/batchinfo/status/{{job_id}}/events", {}),
    ("GET", f"{API}/batchinfo/errors/{{job_id}}", {}),
    ("GET", f"{API}/batchinfo/notes/{{job_id}}", {}),
    ("GET", f"{API}/batchinfo/errors/{{job_id}}", {"headers": {"Accept": "text/csv"}}),
    ("GET", f"{API}/batchinfo/sources", {}),
    ("GET", f"{API}/admin/dead-letters", {}),
    ("GET", f"{API}/admin/dead-letters/{{letter_id}}", {}),
    ("POST", f"{API}/admin/dead-letters/{{letter_id}}/retry", {}),
    ("GET", f"{API}/audience", {}),
    ("POST", f"{API}/audience/import", dry_run("upsert", LINES)),
    ("POST", f"{API}/audience/import", dry_run("upsert", CHANGED)),
    ("POST", f"{API}/audience/import", dry_run("delsert", CHANGED.replace("ada@", "other@"))),
    (
        "POST",
        f"{API}/audience/inspect",
        {
            "body": {"uploadFile": (HEADER + LINES).encode(), "importType": "upsert"},
            "media_type": "multipart/form-data",
        },
    ),
    (
        "PUT",
        f"{API}/audience/presets/{{name}}",
        {"body": {"options": {"columns": ["auto"], "dateOrder": "DMY"}}},
    ),
    ("GET", f"{API}/audience/presets", {}),
    ("GET", f"{API}/audience/presets/{{name}}", {}),
    ("POST", f"{API}/audience/presets/{{name}}/delete", {}),
    ("GET", f"{API}/audience/{{user_id}}", {}),
    ("GET", f"{API}/audience/{{user_id}}/history", {}),
    ("GET", f"{API}/audience/person", {"query": {"key": "ada@there.example"}}),
    ("PUT", f"{API}/audience/{{user_id}}", {"body": {"firstName": "Augusta"}}),
    ("POST", f"{API}/audience/{{user_id}}/delete", {}),
    ("GET", f"{API}/audience/diff", DIFF),
    ("GET", f"{API}/audience/diff", DIFF | {"headers": {"Accept": "text/csv"}}),
    ("GET", f"{API}/audience/diff", DIFF | {"headers": {"Accept": "application/x-ndjson"}}),
    ("GET", f"{API}/audience/export", {}),
    ("GET", f"{API}/audience/export", {"query": {"format": "ndjson", "columns": ["id"]}}),
    ("GET", f"{API}/audience/export", {"query": {"format": "parquet"}}),
    ("GET", f"{API}/admin/throughput", {}),
    ("GET", f"{API}/admin/projections", {}),
    ("GET", f"{API}/admin/projections/{{number}}", {}),
    ("GET", f"{API}/admin/attributes", {}),
    ("PUT", f"{API}/admin/attributes/{{name}}", {"body": {"label": "Body"}}),
    ("GET", f"{API}/admin/accounts/{{name}}", {}),
    ("PUT", f"{API}/admin/accounts/{{name}}", {"body": {"role": "reader"}}),
    ("POST", f"{API}/admin/accounts/{{name}}/delete", {}),
    ("GET", f"{API}/admin/tokens", {}),
    ("GET", f"{API}/admin/audit", {"query": {"kind": ["token.add"], "since": "2020-01-01"}}),
    ("GET", f"{API}/admin/audit/check", {}),
    ("GET", f"{API}/webhooks", {}),
    ("PUT", f"{API}/webhooks/{{webhook_id}}", {"body": {"events": ["job.undone"]}}),
    ("POST", f"{API}/webhooks/{{webhook_id}}/test", {}),
    ("GET", f"{API}/webhooks/{{webhook_id}}/deliveries", {}),
    ("POST", f"{API}/webhooks/{{webhook_id}}/deliveries/{{delivery_id}}/redeliver", {}),
    ("POST", f"{API}/webhooks/{{webhook_id}}/delete", {}),
    ("POST", f"{API}/admin/tokens/{{token_id}}/delete", {}),
    ("GET", f"{API}/batchinfo/proof/{{job_id}}", {}),
    ("GET", f"{API}/batchinfo/results/{{job_id}}", {}),
    ("GET", f"{API}/batchinfo/results/{{job_id}}", {"query": {"format": "ndjson"}}),
    ("POST", f"{API}/batchinfo/undo/{{job_id}}", {}),
    ("POST", f"{API}/batchinfo/redo/{{job_id}}", {}),
]
"""What needs something to be there before it can be shown or changed."""


@pytest.fixture(scope="module")
def there(rig_of_module: Rig) -> dict[str, str]:
    """Ids of what there is, one of each, by their names in paths."""
    http = rig_of_module.client.http

    def made(path: str, **body: object) -> dict[str, Any]:
        answer = http.post(API + path, json=body)
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    # Rebuilds that were asked for before stand in the way of an undo until they are built.
    rig_of_module.services.builder()
    made("/admin/attributes", name="shoe size", type="number")
    made("/admin/attributes", name="somebody", type="string")
    status = rig_of_module.run((HEADER + LINES).encode())
    assert (status["inserted"], status["rejected"]) == (1, 1)
    user = http.get(f"{API}/audience", params={"email": "ada@there.example"}).json()
    hook = made("/webhooks", url="https://nowhere.invalid/hook")["id"]
    return {
        "webhook_id": hook,
        "delivery_id": made(f"/webhooks/{hook}/test")["id"],
        "job_id": status["id"],
        "user_id": user["audience"][0]["id"],
        "name": made("/admin/accounts", name="somebody", role="importer")["name"],
        "number": "1",
        "letter_id": dead_letter(rig_of_module),
        "token_id": made("/admin/tokens", name="some token", role="importer")["id"],
    }


def dead_letter(rig: Rig) -> str:
    """The id of a letter that is there on return."""
    producer = Producer(rig.env.settings.kafka)
    producer.produce(rig.env.settings.topics.user_events.name, b"poison", b"key", 0)
    assert producer.flush(60) == 0
    url = f"{API}/admin/dead-letters"
    wait_until(lambda: rig.client.http.get(url).json()["deadLetters"], 30, saying="it is dead")
    found: str = rig.client.http.get(url).json()["deadLetters"][0]["id"]
    return found


@pytest.mark.parametrize("found", FOUND, ids=lambda found: f"{found[0]} {found[1]}")
def test_what_there_is_is_answered_as_described(
    rig_of_module: Rig,
    session: requests.Session,
    there: dict[str, str],
    found: tuple[str, str, dict[str, Any]],
) -> None:
    """200, and all that is shown is what the description knows."""
    method, path, how = found
    operation = DESCRIBED[path][method]
    names = re.findall(r"{(\w+)}", path)
    case = operation.Case(path_parameters={name: there[name] for name in names}, **how)

    def answered() -> Any:
        answer = case.call(base_url=rig_of_module.client.url, session=session, timeout=60)
        # What one of these does may still be under way when the next one is asked for.
        return None if answer.status_code == 409 else answer

    answer = wait_until(answered, 60, every_s=0.2)
    assert answer.status_code == 200, answer.text
    case.validate_response(answer, checks=CHECKS)


def test_a_cancellation_is_answered_as_described(
    rig_of_module: Rig, session: requests.Session
) -> None:
    """200 for a job that has not ended."""
    rig_of_module.publisher.freeze()
    job_id = rig_of_module.submit((HEADER + LINES).encode(), "upsert")
    case = DESCRIBED[CANCEL]["POST"].Case(path_parameters={"job_id": str(job_id)})
    answer = case.call(base_url=rig_of_module.client.url, session=session, timeout=60)
    rig_of_module.publisher.thaw()
    assert answer.status_code == 200, answer.text
    case.validate_response(answer, checks=CHECKS)


def test_every_path_to_something_is_among_these() -> None:
    """So that the 200 of each operation is seen; without an id, the description's example is."""
    of_api = {name for name, _ in operations() if name.partition(" ")[2].startswith(API)}
    assert (
        {name for name in of_api if "{" in name}
        <= {f"{method} {path}" for method, path, _ in FOUND} | {f"POST {CANCEL}"}
        <= of_api
    )


@pytest.mark.parametrize(("name", "operation"), list(operations()))
def test_who_is_not_known_is_refused(
    rig_of_module: Rig, name: str, operation: dict[str, Any]
) -> None:
    """Wherever the description says that an account is needed, and nowhere else."""
    method, path = name.split(" ")
    url = rig_of_module.client.url + re.sub(r"{\w+}", "1", path)
    answer = requests.request(method, url, timeout=60)
    assert (answer.status_code == 401) == bool(operation["security"])


def test_the_description_is_that_of_the_code(rig_of_module: Rig) -> None:
    """Whatever installation serves it, and anybody may read it."""
    answer = requests.get(f"{rig_of_module.client.url}/openapi.json", timeout=60)
    assert answer.json() == document()
