"""What credentials were found to be, remembered so that most requests ask nobody.

A verdict is served from memory for two seconds after the store was asked; then
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
class Verdict:
    """Whose the credentials are; ``account`` is None where they are wrong.

    ``checked_at_s`` is when the store was asked, ``password_hash`` what it had, where it
    was a password.
    """

    account: Account | None
    checked_at_s: float
    password_hash: str | None = None


class Verdicts:
    """Verdicts by a digest of the credentials.

    Right and wrong ones are kept apart, so that guesses never push out who is logged in.
    """

    def __init__(self) -> None:
        self._right: dict[bytes, Verdict] = {}
        self._wrong: dict[bytes, Verdict] = {}
        self._doubted_at_s = -math.inf

    def fresh(self, proof: bytes, now_s: float) -> Verdict | None:
        """The verdict, where it still counts without asking the store."""
        verdict = self.last(proof, now_s)
        if verdict is None or verdict.checked_at_s <= max(now_s - FRESH_S, self._doubted_at_s):
            return None
        return verdict

    def last(self, proof: bytes, now_s: float) -> Verdict | None:
        """The verdict, where it is remembered at all."""
        verdict = self._right.get(proof) or self._wrong.get(proof)
        if verdict is None or verdict.checked_at_s <= now_s - _KEPT_S:
            return None
        return verdict

    def keep(self, proof: bytes, verdict: Verdict) -> None:
        """Remember it instead of what was known before."""
        self._right.pop(proof, None)
        self._wrong.pop(proof, None)
        kept = self._wrong if verdict.account is None else self._right
        kept[proof] = verdict  # the dict's order is that of the last check
        oldest_s = verdict.checked_at_s - _KEPT_S
        while len(kept) > _MOST_KEPT or kept[next(iter(kept))].checked_at_s < oldest_s:
            del kept[next(iter(kept))]

    def doubt(self, now_s: float) -> None:
        """Credentials were changed here: the store is asked before any verdict counts again."""
        self._doubted_at_s = now_s
