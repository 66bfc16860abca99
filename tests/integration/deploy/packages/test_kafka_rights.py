"""The services with users of their own in Kafka, `deploy/packages/kafka/acls.csv`, and over TLS.

The broker asks for SCRAM over TLS, as managed ones do, and allows nothing that is not said.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
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
    ScramCredentialInfo,
    ScramMechanism,
    UserScramCredentialUpsertion,
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
from tests.support.tls.certificates import Certificates

if TYPE_CHECKING:
    from collections.abc import Iterator

    from confluent_kafka.admin import UserScramCredentialAlteration

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


def _broker_properties(port: int, certificates: Certificates) -> str:
    login = "org.apache.kafka.common.security.scram.ScramLoginModule"
    text = kafka.PROPERTIES.replace("listeners=B", f"listeners=SASL://127.0.0.1:{port},B")
    text = text.replace("protocol.map=", "protocol.map=SASL:SASL_SSL,")
    return f"""{text}
sasl.enabled.mechanisms=SCRAM-SHA-512
listener.name.sasl.scram-sha-512.sasl.jaas.config={login} required;
listener.name.sasl.ssl.keystore.type=PEM
listener.name.sasl.ssl.keystore.location={certificates.key_and_chain}
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
super.users=User:ANONYMOUS
"""


def _give_passwords(admin: AdminClient) -> None:
    kind = ScramCredentialInfo(ScramMechanism.SCRAM_SHA_512, 4096)
    changes: list[UserScramCredentialAlteration] = [
        UserScramCredentialUpsertion(user, kind, _PASSWORD.encode())
        for user in sorted({user for user, *_ in _rights()})
    ]
    for made in cast("dict[Any, Any]", admin.alter_user_scram_credentials(changes)).values():
        made.result(timeout=60)


@dataclass(frozen=True, slots=True)
class _Guarded:
    """A ground, the port at which its broker asks who it is, and the authority's certificate."""

    env: Ground
    port: int
    authority: Path

    def login(self, user: str, host: str = "127.0.0.1") -> dict[str, Any]:
        """The settings of a service that is this user."""
        return {
            "kafka_bootstrap_servers": f"{host}:{self.port}",
            "kafka_security_protocol": "SASL_SSL",
            "kafka_ssl_ca_location": str(self.authority),
            "kafka_sasl_mechanism": "SCRAM-SHA-512",
            "kafka_sasl_username": user,
            "kafka_sasl_password": _PASSWORD,
        }


@pytest.fixture
def guarded(monkeypatch: pytest.MonkeyPatch) -> Iterator[_Guarded]:
    """A ground whose broker has the rights of the file."""
    port = free_port()
    with TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)  # where we are root, Postgres runs as another user
        certificates = Certificates(Path(folder))
        monkeypatch.setattr(kafka, "PROPERTIES", _broker_properties(port, certificates))
        with LocalStack(Path(folder) / "stack") as stack:
            admin = AdminClient({"bootstrap.servers": stack.bootstrap_servers})
            _give_passwords(admin)
            bindings = [_binding(*right) for right in _rights()]
            for made in cast("dict[Any, Any]", admin.create_acls(bindings)).values():
                made.result(timeout=60)
            of = Surroundings(stack.bootstrap_servers, stack.conninfo)
            with ground(of, topic_prefix="rollcall.", group="rollcall") as env:
                yield _Guarded(env, port, certificates.authority)


def _setup(env: Ground, login: dict[str, Any]) -> int:
    further = {f"ROLLCALL_{name.upper()}": value for name, value in login.items()}
    return (
        CliRunner().invoke(main, ["setup", "--wait", "0"], env={**env.environ, **further}).exit_code
    )


def test_everything_works_with_the_rights_and_over_tls(guarded: _Guarded, tmp_path: Path) -> None:
    """Set-up, an import, an undo and a proof; the API could not have made the topics itself.

    A server whose certificate has another name is not talked to.
    """
    env, login = guarded.env, guarded.login
    assert _setup(env, login("rollcall-api")) == 1
    assert _setup(env, login("rollcall-setup", host="localhost")) == 1
    assert _setup(env, login("rollcall-setup")) == 0
    with Services(env.environ, tmp_path) as services:
        processor = services.processor(**login("rollcall-processor"))
        services.builder(**login("rollcall-processor"))
        publisher = services.publisher(**login("rollcall-publisher"))
        api, client = services.api(**login("rollcall-api"))
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
