"""The users of the sequential oracle, and what those who are gone have opted out of."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from datetime import datetime

FIELDS = (
    "first_name",
    "last_name",
    "email",
    "mobile_number",
    "country",
    "state",
    "last_active_date",
    "sms_subscription",
    "email_subscription",
    "voice_subscription",
)
SUBSCRIPTIONS = FIELDS[-3:]


@dataclass(frozen=True, slots=True)
class User:
    """A user as the tables should hold it; the key is beside it.

    ``job_id`` and ``record_number`` are those of the line that last set it, None where
    another producer did.
    The rest is known only where the model follows a log
    (:mod:`tests.support.models.log_model`): the
    positions of the events that made and last changed it, and what only other producers set.
    """

    values: dict[str, Any]
    created_at: datetime
    modified_at: datetime
    job_id: int | None
    record_number: int | None
    position: int | None = None
    modified_position: int | None = None
    event_id: str | None = None
    attributes: dict[str, Any] = field(default_factory=dict[str, Any])


class Users(dict[str, User]):
    """Users by key; of a key that has none any more, what it has opted out of."""

    def __init__(self) -> None:
        super().__init__()
        self.opt_outs: dict[str, set[str]] = {}

    def opted_out(self, key: str) -> set[str]:
        """What may not be set to true by whoever keeps opt-outs."""
        user = self.get(key)
        if user is None:
            return self.opt_outs.get(key, set())
        return {name for name in SUBSCRIPTIONS if not user.values[name]}

    def add(self, key: str, user: User) -> None:
        """Add a user, who says all that there is to say from now on."""
        self.opt_outs.pop(key, None)
        self[key] = user

    def delete(self, key: str) -> None:
        """Delete a user; the opt-outs stay."""
        if opted_out := self.opted_out(key):
            self.opt_outs[key] = opted_out
        del self[key]

    def emptied(self) -> Users:
        """Nobody, with the opt-outs of all."""
        users = Users()
        everybody = {*self, *self.opt_outs}
        users.opt_outs = {key: out for key in everybody if (out := self.opted_out(key))}
        return users
