"""What is remembered of credentials, and for how long."""

from __future__ import annotations

import pytest

from ingest_api.auth import credential_cache
from ingest_api.auth.credential_cache import AuthResult, CredentialCache
from ingest_api.web.roles import Account

RIGHT = AuthResult(Account("ada", "reader"), 100.0, "hash")
WRONG = AuthResult(None, 100.0, "hash")


@pytest.mark.parametrize("result", [RIGHT, WRONG])
def test_a_verdict_counts_for_two_seconds(result: AuthResult) -> None:
    """Then the store is asked again, and for a minute argon2 isn't."""
    known = CredentialCache()
    known.keep(b"a", result)
    assert known.fresh(b"a", 101.9) == result
    assert known.fresh(b"a", 102.0) is None
    assert known.last(b"a", 102.0) == result
    assert known.last(b"a", 160.0) is None
    assert known.fresh(b"b", 100.0) is None


def test_a_change_here_counts_at_once() -> None:
    """Also for a check that had begun before it and ended after."""
    known = CredentialCache()
    known.keep(b"a", RIGHT)
    known.invalidate(101.0)
    known.keep(b"b", RIGHT)
    assert known.fresh(b"a", 101.0) is None
    assert known.fresh(b"b", 101.0) is None
    known.keep(b"a", AuthResult(RIGHT.account, 101.5))
    assert known.fresh(b"a", 101.6) is not None


def test_guesses_never_push_out_who_is_logged_in(monkeypatch: pytest.MonkeyPatch) -> None:
    """Memory is bounded for both."""
    monkeypatch.setattr(credential_cache, "_MOST_KEPT", 10)
    known = CredentialCache()
    known.keep(b"right", RIGHT)
    for number in range(100):
        known.keep(b"%d" % number, WRONG)
    assert known.last(b"right", 100.0) == RIGHT
    assert known.last(b"89", 100.0) is None
    assert known.last(b"99", 100.0) == WRONG


def test_a_verdict_is_replaced_by_the_next_one() -> None:
    """Right credentials that are now wrong, and the reverse."""
    known = CredentialCache()
    known.keep(b"a", RIGHT)
    known.keep(b"a", WRONG)
    assert known.last(b"a", 100.0) == WRONG
    known.keep(b"a", RIGHT)
    assert known.last(b"a", 100.0) == RIGHT


def test_what_is_not_used_for_a_minute_is_let_go() -> None:
    """A proof of a password doesn't lie in memory for long."""
    known = CredentialCache()
    for number in range(10):
        known.keep(b"%d" % number, AuthResult(RIGHT.account, 100.0 + number))
    known.keep(b"new", AuthResult(RIGHT.account, 165.0))
    kept = sorted(known._right)  # pyright: ignore[reportPrivateUsage] - nobody else sees it
    assert kept == [b"5", b"6", b"7", b"8", b"9", b"new"]
