"""Caches the results of checked credentials, so that most requests query nothing.

A result is served from memory for two seconds after the store was asked; then
the store is asked again, so a credential that was revoked, changed or demoted
dies within two seconds on every instance.
Whether a password belongs to a hash never changes, so where the stored hash is
still the same, argon2 is not asked again, for right passwords and for wrong
ones: whoever is logged in stays so while others flood the hashing pool, and a
client that keeps sending one wrong password is no guesser.
What is not used for a minute is forgotten.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from ingest_api.web.roles import Account

FRESH_S: Final = 2.0
_KEPT_S: Final = 60.0
_MOST_KEPT: Final = 10_000


@dataclass(frozen=True, slots=True)
class AuthResult:
    """The result of a check of credentials; ``account`` is None where they are wrong.

    ``checked_at_s`` is when the store was asked, ``password_hash`` what it had, where it
    was a password.
    """

    account: Account | None
    checked_at_s: float
    password_hash: str | None = None


class CredentialCache:
    """Remembered results of checks by a digest of the credentials.

    Right and wrong ones are kept apart, so that guesses never push out who is logged in.
    """

    def __init__(self) -> None:
        self._right: dict[bytes, AuthResult] = {}
        self._wrong: dict[bytes, AuthResult] = {}
        self._invalidated_at_s = -math.inf

    def fresh(self, digest: bytes, now_s: float) -> AuthResult | None:
        """Return the result if it counts without asking the store again."""
        result = self.last(digest, now_s)
        if result is None or result.checked_at_s <= max(now_s - FRESH_S, self._invalidated_at_s):
            return None
        return result

    def last(self, digest: bytes, now_s: float) -> AuthResult | None:
        """Return the result if it is cached at all."""
        result = self._right.get(digest) or self._wrong.get(digest)
        if result is None or result.checked_at_s <= now_s - _KEPT_S:
            return None
        return result

    def keep(self, digest: bytes, result: AuthResult) -> None:
        """Cache the result in place of the last one."""
        self._right.pop(digest, None)
        self._wrong.pop(digest, None)
        kept = self._wrong if result.account is None else self._right
        kept[digest] = result  # the dict's order is that of the last check
        oldest_s = result.checked_at_s - _KEPT_S
        while len(kept) > _MOST_KEPT or kept[next(iter(kept))].checked_at_s < oldest_s:
            del kept[next(iter(kept))]

    def invalidate(self, now_s: float) -> None:
        """Have the store asked before any cached result counts again."""
        self._invalidated_at_s = now_s
