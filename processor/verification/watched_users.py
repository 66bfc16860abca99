"""Reads the values of a few users from the log, for findings that show them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from processor.verification.attribute_text import canonical
from processor.verification.user_columns import FALSE
from schemas.rules.fields import FIELDS, SUBSCRIPTIONS

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    import numpy.typing as npt

    from processor.verification.staged import Staged
    from processor.verification.user_columns import UserColumns

    Numbers = npt.NDArray[np.int64]


class WatchedUsers:
    """The columns of some users, as dicts by id."""

    def __init__(self, ids: Collection[int]) -> None:
        self.found: dict[int, dict[str, Any]] = {}
        self._ids = np.array(sorted(ids), np.int64)

    def __bool__(self) -> bool:
        return bool(len(self._ids))

    def insert(
        self,
        staged: Staged,
        at: Numbers,
        users: UserColumns,
        slots: Numbers,
    ) -> None:
        """Users that these rows have made."""
        for row in np.flatnonzero(np.isin(staged.id[at], self._ids)).tolist():
            event = staged.rows.slice(int(at[row]), 1).to_pylist()[0]
            user = int(staged.id[at[row]])
            self.found[user] = {
                "id": user,
                **_set_by(event),
                **{field.name: event[field.name] for field in FIELDS},
                **_subscriptions(users, int(slots[row])),
                "created_at": event["occurred_at"],
                "modified_position": None,
                "event_id": event["event_id"] if event["job_id"] is None else None,
                "attributes": canonical(users.attributes.get(int(slots[row]), {})),
            }

    def update(
        self,
        staged: Staged,
        at: Numbers,
        ids: Numbers,
        users: UserColumns,
        slots: Numbers,
    ) -> None:
        """Users with these ids, which these rows have changed."""
        for row in np.flatnonzero(np.isin(ids, self._ids)).tolist():
            event = staged.rows.slice(int(at[row]), 1).to_pylist()[0]
            self.found[int(ids[row])] |= {
                **_set_by(event),
                **{
                    field.name: event[field.name]
                    for field in FIELDS
                    if event["present"] & field.bit
                    and (event[field.name] is not None or not field.is_never_cleared)
                },
                **_subscriptions(users, int(slots[row])),
                "modified_position": int(staged.id[at[row]]),
                "attributes": canonical(users.attributes.get(int(slots[row]), {})),
            }


def _subscriptions(users: UserColumns, slot: int) -> dict[str, bool]:
    """Return what the user is subscribed to, which is not always what the event says."""
    return {
        field.name: bool(users.values[slot, FIELDS.index(field)] != FALSE)
        for field in SUBSCRIPTIONS
    }


def _set_by(event: Mapping[str, Any]) -> dict[str, Any]:
    """Return what every event that makes or changes a user sets."""
    names = ("key", "job_id", "record_number")
    return {name: event[name] for name in names} | {"modified_at": event["occurred_at"]}
