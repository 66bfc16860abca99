"""How many wrong passwords are looked at, and how many logins wait for a turn."""

from __future__ import annotations

import asyncio

import pytest

from ingest_api.auth import login_rate_limit
from ingest_api.auth.login_rate_limit import FailureLimit, LoginLimits, LoginLimitSettings
from ingest_api.auth.password_hashing import PasswordHashing
from ingest_api.errors import IngestError
from ingest_api.web.responses import refusal

SETTINGS = LoginLimitSettings(per_name=5, per_address=20, window_s=300)


def test_failures_of_a_name_are_limited_for_their_own_address_only() -> None:
    """Whoever guesses a password waits; its owner, elsewhere, doesn't."""
    limits = LoginLimits(SETTINGS)
    for _ in range(5):
        assert limits.wait_s("admin", "192.0.2.1", 100) == 0
        limits.begin("admin", "192.0.2.1", 100)
    assert limits.wait_s("admin", "192.0.2.1", 100) == pytest.approx(60)
    assert limits.wait_s("admin", "192.0.2.2", 100) == 0
    assert limits.wait_s("other", "192.0.2.1", 100) == 0


def test_failures_of_an_address_are_limited_over_all_names() -> None:
    """Who tries one password with every name is stopped too."""
    limits = LoginLimits(SETTINGS)
    for number in range(20):
        limits.begin(f"name {number}", "192.0.2.1", 100)
    assert limits.wait_s("another", "192.0.2.1", 100) > 0
    assert limits.wait_s("another", "192.0.2.2", 100) == 0


def test_failures_fade_one_after_another() -> None:
    """Five in 300 seconds: after a minute one more attempt is looked at, and no two."""
    limits = LoginLimits(SETTINGS)
    for _ in range(5):
        limits.begin("admin", "a", 0)
    assert limits.wait_s("admin", "a", 59) > 0
    assert limits.wait_s("admin", "a", 61) == 0
    limits.begin("admin", "a", 61)
    assert limits.wait_s("admin", "a", 61) > 50
    assert limits.wait_s("admin", "a", 1000) == 0


def test_attempts_under_way_count_until_they_are_forgiven() -> None:
    """So a thousand at one instant are no way around the limit."""
    limits = LoginLimits(SETTINGS)
    for _ in range(5):
        limits.begin("admin", "a", 0)
    assert limits.wait_s("admin", "a", 0) > 0
    limits.forgive("admin", "a", 0)
    assert limits.wait_s("admin", "a", 0) == 0


def test_memory_of_failures_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who failed longest ago is forgotten first."""
    monkeypatch.setattr(login_rate_limit, "_MOST_KEYS", 100)
    limit = FailureLimit(1, 300)
    for number in range(200):
        limit.add(number, 0)
        limit.add("steady", 0)
    assert limit.wait_s(0, 0) == 0
    assert limit.wait_s(199, 0) > 0
    assert limit.wait_s("steady", 0) > 0


def test_one_address_takes_half_of_the_turns_at_most() -> None:
    """The others get theirs, until all together are too many; nobody waits without bound."""

    async def flood() -> list[bool | int]:
        passwords = PasswordHashing(most_waiting=8)
        hashed = await passwords.hash("right password")

        async def login(address: str) -> bool | int:
            try:
                return await passwords.is_right(hashed, "right password", address)
            except IngestError as refused:
                answer = refusal(refused)
                return answer.status if "Retry-After" in answer.headers else 0

        addresses = ["a"] * 10 + ["b"] * 3 + ["c"] * 2
        try:
            answers = await asyncio.gather(*[login(address) for address in addresses])
            assert await login("a") is True
        finally:
            passwords.close()
        return list(answers)

    answers = asyncio.run(flood())
    assert answers[:10] == [True] * 4 + [429] * 6
    assert answers[10:13] == [True] * 3
    assert answers[13:] == [True, 503]
