"""Limits failed password logins, by name and address, and by address alone.

The limit of a name counts for one address only, so nobody can lock the owner of
an account out from elsewhere; the limit of an address counts over all names.
An attempt counts as failed from its beginning until it is known to be right, so
attempts at one time are no way around a limit.
"""

from __future__ import annotations

from typing import Annotated, Final

import msgspec

from schemas.config.declared import Section, named, whole

_MOST_FAILURES: Final = 1_000_000
_MOST_KEYS: Final = 50_000
"""Beyond them the key that failed longest ago is forgotten: memory is bounded."""


class FailureLimit:
    """A leaky bucket for each key: it holds ``most`` failures, and empties in ``window_s``."""

    def __init__(self, most: int, window_s: float) -> None:
        self._most = most
        self._per_s = most / window_s
        self._levels: dict[object, tuple[float, float]] = {}

    def wait_s(self, key: object, now_s: float) -> float:
        """Return how long until another attempt is checked; 0 if it is at once."""
        return max(0.0, self._level(key, now_s) + 1 - self._most) / self._per_s

    def add(self, key: object, now_s: float) -> None:
        """Count a failure."""
        self._put(key, self._level(key, now_s) + 1, now_s)

    def take_back(self, key: object, now_s: float) -> None:
        """Take back a failure that was counted."""
        self._put(key, self._level(key, now_s) - 1, now_s)

    def _level(self, key: object, now_s: float) -> float:
        level, at_s = self._levels.get(key, (0.0, now_s))
        return max(0.0, level - (now_s - at_s) * self._per_s)

    def _put(self, key: object, level: float, now_s: float) -> None:
        self._levels.pop(key, None)  # the dict's order is that of the last failure
        if level > 0:
            self._levels[key] = (level, now_s)
        if len(self._levels) > _MOST_KEYS:
            del self._levels[next(iter(self._levels))]


class LoginLimitSettings(
    Section, frozen=True, kw_only=True, rename=named("ROLLCALL_LOGIN_FAILURES_")
):
    """How often logins from one address may fail within the window."""

    per_name: Annotated[
        int,
        whole(
            1,
            _MOST_FAILURES,
            "wrong passwords of one name from one address within the window; then 429",
        ),
    ] = msgspec.field(name="ROLLCALL_LOGIN_FAILURES", default=10)
    per_address: Annotated[
        int, whole(1, _MOST_FAILURES, "the same over all names of an address")
    ] = 100
    window_s: Annotated[
        int, whole(1, 86_400, "the window; failures fade within it", unit="seconds")
    ] = 300


class LoginLimits:
    """The limits of password logins; used from one event loop."""

    def __init__(self, settings: LoginLimitSettings) -> None:
        self._by_name = FailureLimit(settings.per_name, settings.window_s)
        self._by_address = FailureLimit(settings.per_address, settings.window_s)

    def wait_s(self, name: str, address: str, now_s: float) -> float:
        """Return how long until a login of this name from this address is checked."""
        return max(
            self._by_name.wait_s((name, address), now_s), self._by_address.wait_s(address, now_s)
        )

    def begin(self, name: str, address: str, now_s: float) -> None:
        """Count an attempt as failed, for as long as it isn't forgiven."""
        self._by_name.add((name, address), now_s)
        self._by_address.add(address, now_s)

    def forgive(self, name: str, address: str, now_s: float) -> None:
        """Take back an attempt that was right, or was never checked."""
        self._by_name.take_back((name, address), now_s)
        self._by_address.take_back(address, now_s)
