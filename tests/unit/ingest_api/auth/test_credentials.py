"""What a request's Authorization header brings, and which names and passwords there can be."""

from __future__ import annotations

import base64

import pytest

from ingest_api.auth.credentials import (
    ApiToken,
    PasswordLogin,
    SignedToken,
    credentials_of,
    name_fault,
    password_fault,
)
from ingest_api.web.roles import Account

SECRET = "0123456789abcdef" * 4


def basic(text: str) -> str:
    """The header's value for these credentials."""
    return "Basic " + base64.b64encode(text.encode()).decode()


@pytest.mark.parametrize(
    ("authorization", "expected"),
    [
        (basic("admin:pw"), PasswordLogin("admin", "pw")),
        (basic("admin:p:w"), PasswordLogin("admin", "p:w")),
        (basic("admin:"), PasswordLogin("admin", "")),
        (basic("jürgen:pässword"), PasswordLogin("jürgen", "pässword")),
        (basic("admin:pw").replace("Basic", "basic"), PasswordLogin("admin", "pw")),
        (basic("a" * 128 + ":" + "€" * 1024), PasswordLogin("a" * 128, "€" * 1024)),
        (f"Bearer rct_17_{SECRET}", ApiToken(17, SECRET)),
        (f"bearer rct_17_{SECRET}", ApiToken(17, SECRET)),
        ("Bearer e30.e30.c2ln", SignedToken("e30.e30.c2ln")),
    ],
)
def test_credentials_of_a_known_form_are_read(
    authorization: str, expected: PasswordLogin | ApiToken | SignedToken
) -> None:
    """The scheme's case doesn't matter; only the first colon ends a name."""
    assert credentials_of(authorization) == expected


@pytest.mark.parametrize(
    "authorization",
    [
        None,
        "",
        "Basic",
        "Basic !!!",
        "Basic ééé",
        "Basic " + base64.b64encode(b"\xff:\xff").decode(),
        basic("admin"),
        basic(":pw"),
        basic("admin\0:pw"),
        basic("a" * 129 + ":pw"),
        basic("admin:" + "x" * 1025),
        "Basic " + "A" * 1_000_000,
        "Digest username=admin",
        "Negotiate YII=",
        "Bearer",
        "Bearer ",
        "Bearer é",
        "Bearer " + "A" * 1_000_000,
        "Bearer rct_",
        f"Bearer rct_0_{SECRET}",
        f"Bearer rct_-1_{SECRET}",
        f"Bearer rct_\N{ARABIC-INDIC DIGIT FIVE}_{SECRET}",
        f"Bearer rct_9999999999999999999_{SECRET}",
        f"Bearer rct_1_{SECRET[:-1]}",
        f"Bearer rct_1_{SECRET}0",
        f"Bearer rct_1_{SECRET.upper()}",
        f"Bearer rct_1_{SECRET}\n",
        SECRET,
    ],
)
def test_everything_else_is_no_credentials(authorization: str | None) -> None:
    """It is answered like wrong ones, and costs no look-up."""
    assert credentials_of(authorization) is None


def test_no_secret_is_in_the_text_of_credentials() -> None:
    """Whatever a log or an error shows of them."""
    for authorization in (basic(f"admin:{SECRET}"), f"Bearer rct_1_{SECRET}", f"Bearer {SECRET}"):
        assert SECRET not in repr(credentials_of(authorization))


@pytest.mark.parametrize("name", ["a", "night job", "jürgen", "a@b.co", "x" * 128, "管理者"])
def test_a_name_may_be_any_printable_text(name: str) -> None:
    """Up to 128 characters."""
    assert name_fault(name) is None


@pytest.mark.parametrize(
    "name", ["", "x" * 129, "a:b", "token/x", "jwt/x", "a/b", "a\nb", "a\x1b[31m", "\ud800", "a\0"]
)
def test_a_name_that_could_be_taken_for_another_is_refused(name: str) -> None:
    """A slash or a colon in it, or what a terminal or a log would not show."""
    assert name_fault(name) is not None


def test_a_password_has_eight_characters_at_least() -> None:
    """And 1024 at most, and none that Basic authentication can't carry."""
    assert [password_fault(text) is None for text in ("x" * 8, "pässwörd", "x" * 1024)] == [
        True
    ] * 3
    refused = ("", "x" * 7, "x" * 1025, "12345678\0", "12345678\n", "12345678\ud800")
    assert [password_fault(text) is None for text in refused] == [False] * 6


def test_a_role_may_what_lower_roles_may() -> None:
    """reader, importer, admin: from the lowest to the highest."""
    importer = Account("a", "importer")
    assert importer.may("reader")
    assert importer.may("importer")
    assert not importer.may("admin")
