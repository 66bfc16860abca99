"""JWTs of a configured issuer, whose keys a real server shows, or doesn't."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

import pytest

from tests.support.clients.speech import UNAUTHORIZED
from tests.support.servers.gate import ACCOUNTS, gates, open_gate
from tests.support.servers.jwt_issuer import IssuerServer, claims, public_jwk, signed
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.servers.gate import Gate
    from tests.support.servers.services import Services
    from tests.support.servers.surroundings import Ground, Surroundings

LEAST_PAUSE_S = 10
"""Between two questions to the issuer."""
STATUSES = "/vpns/api/v1/batchinfo/status"


@pytest.fixture(scope="module")
def issued(
    surroundings_of_session: Surroundings, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[IssuerServer, Gate]]:
    """An issuer and an API that takes its JWTs, for many tests."""
    logs = tmp_path_factory.mktemp("jwt")
    with (
        IssuerServer() as issuer,
        gates(surroundings_of_session, logs, 1, **issuer.environ) as (gate,),
    ):
        yield issuer, gate


@pytest.fixture
def gate(issued: tuple[IssuerServer, Gate]) -> Iterator[Gate]:
    """That API, which still runs afterwards."""
    yield issued[1]
    assert issued[1].service.is_running


def test_a_jwt_gets_in_with_the_role_that_it_names(gate: Gate) -> None:
    """And acts under the name of its subject."""
    assert gate.status(bearer=signed(claims(role="reader"))) == 200
    assert gate.status(bearer=signed(claims(role=["x", "importer", "reader"]))) == 200
    assert gate.get(bearer=signed(claims(role="importer")), path=ACCOUNTS).status_code == 403
    assert gate.get(bearer=signed(claims(role="admin")), path=ACCOUNTS).status_code == 200
    lines = [json.loads(line) for line in gate.service.log_text().splitlines()]
    assert "jwt/ada" in [line.get("account") for line in lines]


@pytest.mark.parametrize("role", [None, "", "root", [], 5])
def test_a_jwt_without_a_role_is_known_and_may_nothing(gate: Gate, role: object) -> None:
    """403 that says what is missing: another password wouldn't help."""
    answer = gate.get(bearer=signed(claims(role=role)))
    assert answer.status_code == 403
    assert answer.json() == {
        "message": "The role reader, importer, manager or admin is needed for this request,"
        " and the JWT's claim role names none of them",
        "code": "ROLE_TOO_LOW",
    }


def test_a_jwt_that_is_not_good_is_answered_like_any_wrong_credentials(gate: Gate) -> None:
    """401, with the challenge of RFC 6750, and nothing about what was wrong."""
    now = int(time.time())
    good = signed()
    head, payload, signature = good.split(".")
    refused = [
        signed(claims(iss="https://elsewhere.example")),
        signed(claims(aud="another")),
        signed(claims(exp=now - 3600)),
        signed(claims(exp=None)),
        signed(claims(nbf=now + 3600)),
        signed(claims(sub=None)),
        signed(claims(sub="a\nb")),
        signed(number=1),
        signed(typ="logout+jwt"),
        f"eyJhbGciOiJub25lIiwia2lkIjoib25lIn0.{payload}.",
        f"{head}.{payload}.{signature[:-4]}AAAA",
        "e30.e30.e30",
        "...",
        good + "x" * 20_000,
    ]
    for text in refused:
        answer = gate.get(bearer=text)
        assert (answer.status_code, answer.json()) == (401, UNAUTHORIZED), text
        challenge = 'Bearer realm="Rollcall", error="invalid_token"'
        assert answer.headers["WWW-Authenticate"] == challenge
    assert gate.status(bearer=good) == 200


def test_invented_key_ids_do_not_reach_the_issuer(issued: tuple[IssuerServer, Gate]) -> None:
    """It is asked at most once in ten seconds, however many there are."""
    issuer, gate = issued
    before, begin = issuer.requests, time.monotonic()
    for number in range(60):
        assert gate.status(bearer=signed(kid=f"invented {number}")) == 401
    most = 1 + (time.monotonic() - begin) / LEAST_PAUSE_S
    assert issuer.requests - before <= most


def test_keys_that_the_jwt_brings_are_never_fetched(gate: Gate) -> None:
    """Whatever URL stands in its header."""
    with IssuerServer([public_jwk("RSA", 1, kid="mine")]) as attacker:
        forged = [
            signed(number=1, kid="mine", jku=attacker.url, x5u=attacker.url),
            signed(number=1, kid=attacker.url),
            signed(number=1, jwk=public_jwk("RSA", 1)),
        ]
        assert [gate.status(bearer=text) for text in forged] == [401] * 3
        assert attacker.requests == 0


def test_keys_change_and_are_kept_while_the_issuer_is_away(env: Ground, services: Services) -> None:
    """A new key counts once it is shown; one that was withdrawn no longer; all others meanwhile."""
    with IssuerServer() as issuer:
        gate = open_gate(env, services, **issuer.environ)
        first = signed()
        second = signed(kind="P-256", algorithm="ES256", kid="two")
        assert (gate.status(bearer=first), gate.status(bearer=second)) == (200, 401)
        issuer.keys = [public_jwk("P-256", kid="two", alg="ES256")]
        wait_until(lambda: gate.status(bearer=second) == 200, LEAST_PAUSE_S + 5, every_s=0.5)
        wait_until(lambda: gate.status(bearer=first) == 401, 5, every_s=0.5)
        port = issuer.port
        issuer.close()
        unknown = signed(kid="three")
        wait_until(lambda: gate.status(bearer=unknown) == 503, LEAST_PAUSE_S + 5, every_s=0.5)
        fresh = signed(claims(sub="grace"), kind="P-256", algorithm="ES256", kid="two")
        assert gate.status(bearer=fresh) == 200
        issuer.status = 500
        issuer.listen(port)
        asked = issuer.requests

        def is_asked_in_vain() -> bool:
            return gate.status(bearer=unknown) == 503 and issuer.requests > asked

        wait_until(is_asked_in_vain, LEAST_PAUSE_S + 5, every_s=0.5)
        assert gate.status(bearer=second) == 200
        gate.client.close()


def test_an_issuer_that_was_never_reached_is_waited_for(env: Ground, services: Services) -> None:
    """503 with Retry-After for JWTs; passwords and tokens get in; then JWTs do too."""
    with IssuerServer(pause_s=30) as issuer:
        gate = open_gate(env, services, **issuer.environ)
        _, token = gate.add_token("meanwhile")
        answer = gate.get(bearer=signed())
        assert answer.status_code == 503
        assert answer.json() == {
            "message": "The issuer of JWTs can't be reached, try again",
            "code": "ISSUER_UNAVAILABLE",
        }
        assert int(answer.headers["Retry-After"]) > 0
        assert gate.status(bearer=token) == 200
        assert gate.status(bearer="e30.e30.e30") == 401
        issuer.pause_s = 0
        wait_until(lambda: gate.status(bearer=signed()) == 200, LEAST_PAUSE_S + 8, every_s=0.5)
        assert "the issuer's keys can't be fetched" in gate.service.log_text()
        gate.client.close()


@pytest.mark.parametrize("case", ["a redirect", "no JSON", "too large", "no keys"])
def test_an_answer_that_is_no_set_of_keys_is_none(
    env: Ground, services: Services, case: str
) -> None:
    """As if there had been no answer; a redirect isn't followed."""
    with IssuerServer() as issuer:
        if case == "a redirect":
            issuer.status = 302
        else:
            bodies = {"no JSON": b"<html>", "too large": b" " * 2_000_000, "no keys": b"{}"}
            issuer.body = bodies[case]
        gate = open_gate(env, services, **issuer.environ)
        assert gate.status(bearer=signed()) == 503
        assert issuer.requests == 1
        gate.client.close()


def test_no_jwt_is_in_the_logs(gate: Gate) -> None:
    """Neither a good one nor a bad one, nor a part of one."""
    texts = [signed(), signed(number=1), signed(claims(role="planted-role")), signed(kid="planted")]
    for text in texts:
        gate.status(bearer=text)
    log = gate.service.log_text()
    assert "planted" not in log
    for text in texts:
        assert [part for part in text.split(".") if part in log] == []
