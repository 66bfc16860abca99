"""The verdict on tables by the oracle that follows the whole log (:mod:`tests.log_model`)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.log_model import SOURCE_COUNTS
from tests.model import FIELDS, Rejected
from tests.verdict import select

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.log_model import FollowedJob, LogModel
    from tests.model import User
    from tests.surroundings import Ground
    from tests.verdict import Row

_JOBS = """
SELECT job_id, mode, state, lines, inserted, updated, unchanged, rejected, accepted_at,
       started_at, finished_at
FROM jobs
"""
_REJECTIONS = "SELECT job_id, record_number, line, code FROM rejections"
_WRITES = "SELECT event_id, outcome, user_id, code FROM write_outcomes"


def assert_as_followed(env: Ground, model: LogModel) -> None:
    """Fail unless readers see what the model holds.

    Users with every column, ids and times included, jobs, rejections, counts of sources,
    outcomes of the API's writes.
    """
    assert_same("users", _by(select(env, "SELECT * FROM users"), "key"), _users(model.users))
    assert select(env, "SELECT total FROM user_total") == [{"total": len(model.users)}]
    assert_same("jobs", _by(select(env, _JOBS), "job_id"), _jobs(model))
    found: dict[int, list[Rejected]] = {job_id: [] for job_id in model.jobs}
    for row in select(env, _REJECTIONS):
        found[row["job_id"]].append(Rejected(row["record_number"], row["line"], row["code"]))
    rejections = {job_id: sorted(job.outcome.rejections) for job_id, job in model.jobs.items()}
    assert_same("rejections", {key: sorted(rows) for key, rows in found.items()}, rejections)
    assert_same("sources", _by(select(env, "SELECT * FROM sources"), "source"), _sources(model))
    assert_same("writes", _by(select(env, _WRITES), "event_id"), _writes(model))


def assert_same(what: str, found: Mapping[Any, Any], expected: Mapping[Any, Any]) -> None:
    """Fail with the first differences by key: what was found, then what was expected."""
    differing = {
        key: (found.get(key), expected.get(key))
        for key in found.keys() | expected.keys()
        if found.get(key) != expected.get(key)
    }
    assert not differing, f"{len(differing)} {what} differ: {dict(list(differing.items())[:3])}"


def _by(rows: list[Row], key: str) -> dict[Any, Row]:
    return {row.pop(key): row for row in rows}


def _users(users: Mapping[str, User]) -> dict[str, Row]:
    return {
        key: {name: user.values[name] for name in FIELDS}
        | {
            "id": user.position,
            "attributes": user.attributes,
            "created_at": user.created_at,
            "modified_at": user.modified_at,
            "job_id": user.job_id,
            "record_number": user.record_number,
            "modified_position": user.modified_position,
        }
        for key, user in users.items()
    }


def _jobs(model: LogModel) -> dict[int, Row]:
    return {
        job_id: _job(followed, is_whole=model.is_whole(job_id))
        for job_id, followed in model.jobs.items()
    }


def _job(followed: FollowedJob, *, is_whole: bool) -> Row:
    job, outcome = followed.job, followed.outcome
    inserted, updated, unchanged, rejected = outcome.counts
    state = "COMPLETED_WITH_ERRORS" if rejected else "COMPLETED"
    if outcome.is_reverted:
        state = "REVERTED"
    return {
        "mode": job.mode,
        "state": state if is_whole else "PROCESSING",
        "lines": len(followed.lines),
        "inserted": inserted,
        "updated": updated,
        "unchanged": unchanged,
        "rejected": rejected,
        "accepted_at": job.accepted_at,
        "started_at": min(followed.opened_at.values()),
        "finished_at": max(followed.sealed_at.values()) if is_whole else None,
    }


def _sources(model: LogModel) -> dict[str | None, Row]:
    return {
        source or None: {name: tally.counts[name] for name in SOURCE_COUNTS}
        | {"first_at": min(tally.times), "last_at": max(tally.times)}
        for source, tally in model.sources.items()
    }


def _writes(model: LogModel) -> dict[str, Row]:
    return {
        event_id: {"outcome": told.outcome, "user_id": told.user_id, "code": told.code}
        for event_id, told in model.writes.items()
    }
