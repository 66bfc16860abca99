"""Credentials of a request, and how failed logins are slowed down."""

from __future__ import annotations

import base64

import pytest

from ingest_api.accounts import Account, Credentials, Failures, basic_credentials


def basic(text: str) -> str:
    """The header's value for these credentials."""
    return "Basic " + base64.b64encode(text.encode()).decode()


@pytest.mark.parametrize(
    ("authorization", "expected"),
    [
        (basic("admin:pw"), Credentials("admin", "pw")),
        (basic("admin:p:w"), Credentials("admin", "p:w")),
        (basic("admin:"), Credentials("admin", "")),
        (basic("jürgen:pässword"), Credentials("jürgen", "pässword")),
        (basic("admin:pw").replace("Basic", "basic"), Credentials("admin", "pw")),
        (None, None),
        ("", None),
        ("Basic", None),
        ("Basic !!!", None),
        ("Basic " + base64.b64encode(b"\xff:\xff").decode(), None),
        (basic("admin"), None),
        (basic(":pw"), None),
        (basic("admin\0:pw"), None),
        (basic("admin:" + "x" * 10_000), None),
        ("Bearer abc", None),
        ("Basic ééé", None),
    ],
)
def test_only_well_formed_basic_credentials_are_looked_up(
    authorization: str | None, expected: Credentials | None
) -> None:
    """Everything else is no credentials, which is answered like wrong ones."""
    assert basic_credentials(authorization) == expected


def test_a_role_may_what_lower_roles_may() -> None:
    """reader, importer, admin: from the lowest to the highest."""
    importer = Account("a", "importer")
    assert importer.may("reader")
    assert importer.may("importer")
    assert not importer.may("admin")


def test_failed_logins_are_slowed_down_for_their_own_address_only() -> None:
    """Whoever guesses a password waits; its owner, elsewhere, doesn't."""
    failures = Failures()
    guesser, owner = ("admin", "192.0.2.1"), ("admin", "192.0.2.2")
    for _ in range(4):
        failures.add(guesser, 100)
    assert failures.delay_s(guesser, 100) == 0
    for _ in range(20):
        failures.add(guesser, 100)
    assert failures.delay_s(guesser, 100) == 2.0
    assert failures.delay_s(owner, 100) == 0
    assert failures.delay_s(guesser, 1000) == 0
    failures.forget(guesser)
    assert failures.delay_s(guesser, 100) == 0
