"""The services with users of their own in Kafka: `deploy/packages/kafka/acls.csv`.

The broker asks for SASL, as managed ones do, and allows nothing that is not said.
"""

from __future__ import annotations

import csv
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Final, cast

import pytest
from click.testing import CliRunner
from confluent_kafka.admin import (
    AclBinding,
    AclOperation,
    AclPermissionType,
    AdminClient,
    ResourcePatternType,
    ResourceType,
)

from deploy.cli.main import main
from deploy.local_stack import kafka
from deploy.local_stack.stack import LocalStack
from tests.support.checkout import CHECKOUT
from tests.support.clients.client import counts
from tests.support.clients.projections import assert_proven
from tests.support.clients.single_users import ANA, added
from tests.support.data.files import tidy_csv
from tests.support.servers.rig import Rig
from tests.support.servers.services import Services, free_port
from tests.support.servers.surroundings import Surroundings, ground

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.servers.surroundings import Ground

_ACLS: Final = CHECKOUT / "deploy" / "packages" / "kafka" / "acls.csv"
_PASSWORD: Final = "a-password"


def _rights() -> list[tuple[str, str, str, str]]:
    with _ACLS.open() as file:
        return [
            (user, resource, name, operation)
            for user, resource, name, operations in csv.reader(file)
            for operation in operations.split()
        ]


def _binding(user: str, resource: str, name: str, operation: str) -> AclBinding:
    words = {"DescribeConfigs": "DESCRIBE_CONFIGS"}
    return AclBinding(
        ResourceType[resource.upper()],
        name,
        ResourcePatternType.PREFIXED,
        f"User:{user}",
        "*",
        AclOperation[words.get(operation, operation.upper())],
        AclPermissionType.ALLOW,
    )


def _broker_properties(port: int) -> str:
    users = {user for user, *_ in _rights()}
    login = "org.apache.kafka.common.security.plain.PlainLoginModule"
    passwords = " ".join(f'user_{user}="{_PASSWORD}"' for user in sorted(users))
    text = kafka.PROPERTIES.replace("listeners=B", f"listeners=SASL://127.0.0.1:{port},B")
    text = text.replace("protocol.map=", "protocol.map=SASL:SASL_PLAINTEXT,")
    return f"""{text}
sasl.enabled.mechanisms=PLAIN
listener.name.sasl.plain.sasl.jaas.config={login} required {passwords};
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
super.users=User:ANONYMOUS
"""


@pytest.fixture
def guarded(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Ground, int]]:
    """A ground whose broker has the rights of the file, and the port at which it asks who it is."""
    port = free_port()
    monkeypatch.setattr(kafka, "PROPERTIES", _broker_properties(port))
    with TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)  # where we are root, Postgres runs as another user
        with LocalStack(Path(folder)) as stack:
            admin = AdminClient({"bootstrap.servers": stack.bootstrap_servers})
            bindings = [_binding(*right) for right in _rights()]
            for made in cast("dict[Any, Any]", admin.create_acls(bindings)).values():
                made.result(timeout=60)
            of = Surroundings(stack.bootstrap_servers, stack.conninfo)
            with ground(of, topic_prefix="rollcall.", group="rollcall") as env:
                yield env, port


def _login(user: str, port: int) -> dict[str, Any]:
    return {
        "kafka_bootstrap_servers": f"127.0.0.1:{port}",
        "kafka_security_protocol": "SASL_PLAINTEXT",
        "kafka_sasl_mechanism": "PLAIN",
        "kafka_sasl_username": user,
        "kafka_sasl_password": _PASSWORD,
    }


def _setup(env: Ground, login: dict[str, Any]) -> int:
    further = {f"ROLLCALL_{name.upper()}": value for name, value in login.items()}
    return (
        CliRunner().invoke(main, ["setup", "--wait", "0"], env={**env.environ, **further}).exit_code
    )


def test_everything_works_with_the_rights(guarded: tuple[Ground, int], tmp_path: Path) -> None:
    """Set-up, an import, an undo and a proof; the API could not have made the topics itself."""
    env, port = guarded
    assert _setup(env, _login("rollcall-api", port)) == 1
    assert _setup(env, _login("rollcall-setup", port)) == 0
    with Services(env.environ, tmp_path) as services:
        processor = services.processor(**_login("rollcall-processor", port))
        services.builder(**_login("rollcall-processor", port))
        publisher = services.publisher(**_login("rollcall-publisher", port))
        api, client = services.api(**_login("rollcall-api", port))
        rig = Rig(env, services, api, client, publisher, [processor])
        with client:
            rig.wait_ready()
            status = rig.run(tidy_csv(range(40), word="a"))
            added(client, ANA)
            assert client.change("undo", status["id"]).is_success
            client.wait_state(int(status["id"]), "REVERTED")
            assert counts(status) == (40, 0, 0, 0)
            assert_proven(env)
            services.assert_running()
