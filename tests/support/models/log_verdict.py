"""The verdict on tables by the oracle that follows the whole log."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.support.data.log_reading import accepted_jobs, read_topic, reverted_jobs, undos_to_come
from tests.support.models.log_model import SOURCE_COUNTS, LogModel
from tests.support.models.model import FIELDS, Rejected
from tests.support.models.verdict import (
    HEALING_TIMEOUT_S,
    assert_statuses_and_order,
    files_by_hash,
    job_of,
    notes_of,
    select,
    wait_healed,
)
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from tests.support.models.log_model import FollowedJob
    from tests.support.models.model import User
    from tests.support.models.verdict import Row
    from tests.support.servers.surroundings import Ground

_JOBS = """
SELECT job_id, mode, state, lines, inserted, updated, unchanged, rejected, deleted, notes,
       accepted_at, started_at, finished_at
FROM jobs
"""
_REJECTIONS = "SELECT job_id, record_number, line, code FROM rejections"
_WRITES = "SELECT event_id, outcome, user_id, code FROM write_outcomes"


_REACHED = "SELECT sum(next_offset)::bigint AS n FROM {}.projection_offset"
_ACTIVE = "SELECT number FROM projection_instance WHERE state = 'active'"


def assert_as_logged(env: Ground, files: Iterable[bytes]) -> LogModel:
    """Fail unless tables and log are what all of the log comes to, once nothing is appended.

    Other producers' events and the API's writes too; without the jobs that are reverted.
    ``files`` are all files ever sent.
    """
    wait_until(
        lambda: not undos_to_come(env.settings),
        HEALING_TIMEOUT_S,
        saying="no undo is queued any more",
    )
    jobs, reverted = accepted_jobs(env.settings), reverted_jobs(env.settings)
    wait_healed(env, jobs, reverted)
    by_hash = files_by_hash(files)
    topic = env.settings.topics.user_events
    model = LogModel([job_of(job, by_hash) for job in jobs], topic.partitions, reverted)
    log = read_topic(env.settings, topic)
    wait_until(
        lambda: _reached(env) == sum(map(len, log)),
        HEALING_TIMEOUT_S,
        saying="all of the log is projected",
    )
    for partition, records in enumerate(log):
        model.follow(partition, records)
    assert_as_followed(env, model)
    assert_statuses_and_order(env, jobs)
    return model


def _reached(env: Ground) -> int:
    """How many records are projected in the tables that readers see."""
    ((active,),) = (row.values() for row in select(env, _ACTIVE))
    return select(env, _REACHED.format(f"projection_{active}"))[0]["n"]


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
    notes = {
        job_id: sorted(job.outcome.notes) for job_id, job in model.jobs.items() if job.outcome.notes
    }
    assert_same("notes", notes_of(env), notes)
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
        "deleted": outcome.deleted,
        "notes": len(outcome.notes),
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
