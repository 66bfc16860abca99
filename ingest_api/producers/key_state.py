"""Queries what the tables say of a dead letter's key, and of the jobs where it stood."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from ingest_api.event_log.user_fold import Rules
from ingest_api.producers.later_changes import Holder
from schemas.log.positions import place_of
from schemas.read_model.tables import USER_COLUMNS
from schemas.rules.attributes import attribute_field

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ingest_api.postgres.pool import Snapshot

_SELECT_REVERTED: Final = """
SELECT reverted_job_ids FROM {schema}.projection_instance WHERE state = 'active'
"""
_SELECT_TYPES: Final = """
SELECT name, type FROM {schema}.attributes
"""
_SELECT_GENERATION: Final = """
SELECT generation FROM {schema}.user_leaves WHERE generation IS NOT NULL LIMIT 1
"""
_SELECT_HOLDER: Final = """
SELECT id, first_name, last_name, email, mobile_number, country, state, last_active_date,
       sms_subscription, email_subscription, voice_subscription, attributes, modified_position
FROM {schema}.user_leaf_rows
WHERE generation = %(generation)s AND partition = %(partition)s AND key = %(key)s
"""
_SELECT_LAST_JOB: Final = """
SELECT job_id, opened_offset, sealed_offset FROM {schema}.job_partitions
WHERE partition = %(partition)s AND opened_offset <= %(offset)s
ORDER BY opened_offset DESC LIMIT 1
"""


@dataclass(frozen=True, slots=True)
class KeyState:
    """The state of a dead letter's key in the tables, and of the jobs where it stood.

    ``changed_at`` is the offset of the event that last changed the holder, or made it;
    ``last_job_id`` the last job that began before the dead letter, open from ``opened_offset`` on
    unless that is None.
    """

    rules: Rules
    holder: Holder | None = None
    changed_at: int | None = None
    last_job_id: int | None = None
    opened_offset: int | None = None


async def read_key_state(
    snapshot: Snapshot, *, parameters: Mapping[str, Any], reconciliation_key: str
) -> KeyState:
    """Read the state of a key, and of the jobs around an offset, in one snapshot."""
    types = {row["name"]: row["type"] for row in await snapshot.select(_SELECT_TYPES)}
    reverted = await snapshot.select(_SELECT_REVERTED)
    generations = await snapshot.select(_SELECT_GENERATION)
    users = await snapshot.select(_SELECT_HOLDER, {**parameters, **(generations or [{}])[0]})
    jobs = await snapshot.select(_SELECT_LAST_JOB, parameters)
    user, job = (users or [None])[0], (jobs or [None])[0]
    offset = parameters["offset"]
    is_open = job is not None and (job["sealed_offset"] or offset + 1) > offset
    left_out = reverted[0]["reverted_job_ids"] if reverted else None
    return KeyState(
        rules=Rules.of(reconciliation_key, types, left_out or ()),
        holder=Holder(user["id"], _values(user)) if user else None,
        changed_at=place_of(user["modified_position"] or user["id"])[1] if user else None,
        last_job_id=job["job_id"] if job else None,
        opened_offset=job["opened_offset"] if job and is_open else None,
    )


def _values(user: Mapping[str, Any]) -> dict[str, Any]:
    values: dict[str, Any] = {name: user[name] for name in USER_COLUMNS if name != "attributes"}
    values |= {
        attribute_field(name, "string").name: value for name, value in user["attributes"].items()
    }
    return {name: value for name, value in values.items() if value is not None}
