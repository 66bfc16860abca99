"""Guesses are limited for those who guess, and cost everybody the same."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import httpx2

from tests.support.clients.client import TLS
from tests.support.servers.gate import (
    AUDIENCE,
    DIES_WITHIN_S,
    open_gate,
)
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from tests.support.servers.gate import Gate
    from tests.support.servers.services import Services
    from tests.support.servers.surroundings import Ground


def test_guesses_are_limited_for_their_name_and_address_only(gate: Gate) -> None:
    """The eleventh wrong password is answered 429; the owner, elsewhere, gets in."""
    owner = gate.add_account("victim")
    guesser = "198.51.100.1"
    answers = [gate.get(("victim", f"guess {n}"), address=guesser) for n in range(12)]
    assert [answer.status_code for answer in answers] == [401] * 10 + [429] * 2
    assert answers[-1].json() == {
        "message": "Too many failed logins, try again later",
        "code": "LIMIT_REACHED",
    }
    assert 1 <= int(answers[-1].headers["Retry-After"]) <= 60
    assert gate.get(owner, address=guesser).status_code == 429
    assert gate.get(owner, address="198.51.100.2").status_code == 200
    assert gate.get(("another", "guess"), address=guesser).status_code == 401


def test_who_is_logged_in_stays_in_while_others_guess_beside_them(gate: Gate) -> None:
    """From the same address: a limit concerns passwords that aren't known to be right."""
    owner = gate.add_account("beside")
    shared = "198.51.100.3"
    assert gate.get(owner, address=shared).status_code == 200
    for number in range(12):
        gate.get(("beside", f"guess {number}"), address=shared)
    assert gate.get(("beside", "one more"), address=shared).status_code == 429
    time.sleep(DIES_WITHIN_S)  # longer than an answer from memory counts
    assert gate.get(owner, address=shared).status_code == 200


def test_one_wrong_password_again_and_again_is_no_guess(gate: Gate) -> None:
    """A program with an old password locks nobody out, and costs no argon2."""
    owner = gate.add_account("old program")
    address = "198.51.100.4"
    for _ in range(30):
        assert gate.get(("old program", "an old one"), address=address).status_code == 401
    assert gate.get(owner, address=address).status_code == 200


def test_a_whole_ipv6_network_is_one_address(gate: Gate) -> None:
    """Who guesses from one has 2^64 of them."""
    statuses = [
        gate.get(("network", f"guess {n}"), address=f"2001:db8:1:2::{n:x}").status_code
        for n in range(12)
    ]
    assert statuses == [401] * 10 + [429] * 2
    assert gate.get(("network", "guess"), address="2001:db8:1:3::1").status_code == 401


def test_forwarded_addresses_are_believed_with_the_secret_only(gate: Gate) -> None:
    """Else a guesser would have as many addresses as it likes."""
    statuses = [
        httpx2.get(
            gate.client.url + AUDIENCE,
            auth=("forwarder", f"guess {number}"),
            headers={"X-Forwarded-For": f"203.0.113.{number}", "X-Forwarded-Secret": "a guess"},
            trust_env=False,
            verify=TLS,
        ).status_code
        for number in range(12)
    ]
    assert statuses == [401] * 10 + [429] * 2


def test_an_address_is_limited_over_all_names(env: Ground, services: Services) -> None:
    """Also where every guess is of another account, known or not."""
    gate = open_gate(env, services, login_failures_per_address="5")
    address = "198.51.100.5"
    statuses = [
        gate.get((f"name {number}", "Password1"), address=address).status_code
        for number in range(7)
    ]
    assert statuses == [401] * 5 + [429] * 2
    _, token = gate.add_token("program")
    assert gate.get(bearer=token, address=address).status_code == 200
    gate.client.close()


def test_a_flood_of_logins_is_bounded_and_keeps_nobody_out(gate: Gate) -> None:
    """Who is logged in is answered, and a newcomer gets a turn, while guesses are refused."""
    known, newcomer = gate.add_account("known"), gate.add_account("newcomer")
    assert gate.status(known) == 200

    def guess(number: int) -> int:
        return gate.get((f"x{number}", "guess"), address="198.51.100.6").status_code

    with ThreadPoolExecutor(100) as threads:
        flood = [threads.submit(guess, number) for number in range(400)]
        wait_until(lambda: any(done.done() for done in flood), 20)
        assert gate.status(known) == 200
        assert gate.get(newcomer, address="198.51.100.7").status_code == 200
        statuses = {done.result() for done in flood}
    assert statuses <= {401, 429}
    assert 429 in statuses
