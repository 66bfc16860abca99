"""The verdict on a history: the log and the tables against the sequential model."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg.rows import dict_row

from schemas.events import JobOpened, JobSealed
from tests.support.data.log_reading import (
    accepted_jobs,
    control_events,
    last_statuses,
    reverted_jobs,
)
from tests.support.models.model import FIELDS, Job, Model, Noted, Rejected
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from schemas.events import JobAccepted
    from tests.support.models.model import Outcome, User
    from tests.support.servers.surroundings import Ground

HEALING_TIMEOUT_S = 900
"""After the last fault, for all to be as the model says: a minute on a machine without other work,
and five where chaos goes on beside it on two cores."""

Row = dict[str, Any]


def assert_as_modelled(env: Ground, files: Iterable[bytes]) -> Model:
    """Fail unless tables and log are what the jobs, one after another, come to; the model.

    Jobs that are reverted are left out, and readers must see so.
    ``files`` are all files ever sent; which of them became jobs, and in which
    order, is read from ``job-events``.
    """
    jobs = accepted_jobs(env.settings)
    reverted = reverted_jobs(env.settings)
    model = modelled(jobs, files_by_hash(files), reverted)
    wait_healed(env, jobs, reverted)
    assert_users(env, model.users)
    assert_outcomes(env, model.outcomes)
    assert_statuses_and_order(env, jobs)
    return model


def wait_healed(env: Ground, jobs: Sequence[JobAccepted], reverted: set[int]) -> None:
    """Return once all jobs have ended, and readers see an audience without the reverted ones."""
    wait_until(
        lambda: _ended(env) >= {job.job_id for job in jobs},
        HEALING_TIMEOUT_S,
        saying=f"all {len(jobs)} jobs have ended",
    )
    wait_until(
        lambda: _left_out(env) == reverted,
        HEALING_TIMEOUT_S,
        saying=f"the audience is one without the jobs {reverted or 'reverted: none'}",
    )


def assert_statuses_and_order(env: Ground, jobs: Sequence[JobAccepted]) -> None:
    """Fail unless the last statuses are the jobs' rows, and all partitions have one order."""
    _assert_statuses(env, jobs)
    _assert_one_order(env, jobs)


def files_by_hash(files: Iterable[bytes]) -> dict[str, bytes]:
    """Files by their SHA-256."""
    return {hashlib.sha256(file).hexdigest(): file for file in files}


def modelled(
    jobs: Iterable[JobAccepted], files: Mapping[str, bytes], reverted: Collection[int] = ()
) -> Model:
    """The model after these jobs, but for those reverted; ``files`` by their SHA-256."""
    model = Model()
    for job in jobs:
        turn = model.leave_out if job.job_id in reverted else model.apply
        turn(job_of(job, files))
    return model


def job_of(accepted: JobAccepted, files: Mapping[str, bytes]) -> Job:
    """The job as the model takes it; ``files`` by their SHA-256."""
    return Job(
        job_id=accepted.job_id,
        mode=accepted.mode,
        content=files[accepted.sha256],
        accepted_at=accepted.accepted_at,
        delimiter=accepted.delimiter,
        fills=tuple(name for at, name in enumerate(FIELDS) if accepted.fills & 1 << at),
        keeps_opt_outs=accepted.opt_ins == "keep",
        drops_invalid=accepted.invalid_optional == "drop",
    )


def select(env: Ground, query: str) -> list[Row]:
    """The rows of a query on the test's database."""
    with (
        psycopg.connect(env.conninfo) as connection,
        connection.cursor(row_factory=dict_row) as rows,
    ):
        return rows.execute(query.encode()).fetchall()


def _ended(env: Ground) -> set[int]:
    try:
        return {
            row["job_id"]
            for row in select(env, "SELECT job_id FROM jobs WHERE finished_at IS NOT NULL")
        }
    except psycopg.errors.UndefinedTable:
        return set()


def _left_out(env: Ground) -> set[int]:
    """The jobs that the audience which readers see is without."""
    rows = select(env, "SELECT job_id FROM jobs WHERE state = 'REVERTED'")
    return {row["job_id"] for row in rows}


def assert_users(env: Ground, expected: Mapping[str, User]) -> None:
    """Fail unless the view ``users`` holds these and no others, column by column."""
    found = {row.pop("key"): row for row in select(env, "SELECT * FROM users")}
    ids = [row.pop("id") for row in found.values()]
    for row in found.values():
        del row["modified_position"]
    assert len(set(ids)) == len(ids), "ids are unique"
    differing = {
        key: (found.get(key), _row(expected[key]) if key in expected else None)
        for key in found.keys() | expected.keys()
        if key not in expected or found.get(key) != _row(expected[key])
    }
    assert select(env, "SELECT total FROM user_total") == [{"total": len(expected)}]
    assert not differing, f"{len(differing)} users differ: {dict(list(differing.items())[:3])}"


def _row(user: User) -> Row:
    return {name: user.values[name] for name in FIELDS} | {
        "attributes": {},
        "created_at": user.created_at,
        "modified_at": user.modified_at,
        "job_id": user.job_id,
        "record_number": user.record_number,
    }


def assert_outcomes(env: Ground, expected: Mapping[int, Outcome]) -> None:
    """Fail unless these jobs, and no others, have ended with these counts and rejections."""
    found = {row["job_id"]: row for row in select(env, "SELECT * FROM jobs")}
    assert found.keys() == expected.keys()
    for job_id, outcome in expected.items():
        row = found[job_id]
        counts = (row["inserted"], row["updated"], row["unchanged"], row["rejected"])
        assert counts == outcome.counts, f"job {job_id} ({row['mode']})"
        assert row["deleted"] == outcome.deleted, f"users deleted by job {job_id}"
        assert row["notes"] == len(outcome.notes), f"notes of job {job_id}"
        if outcome.is_reverted:
            assert row["state"] == "REVERTED"
            continue
        deleted = outcome.deleted if row["mode"] == "delete" else 0
        assert sum(counts) + deleted == row["lines"]
        assert row["state"] == ("COMPLETED_WITH_ERRORS" if outcome.rejections else "COMPLETED")
    _assert_rejections(env, expected)
    assert notes_of(env) == {
        job_id: sorted(outcome.notes) for job_id, outcome in expected.items() if outcome.notes
    }


def notes_of(env: Ground) -> dict[int, list[Noted]]:
    """The notes of all jobs that have any."""
    found: dict[int, list[Noted]] = {}
    for row in select(env, "SELECT * FROM notes"):
        noted = Noted(row["record_number"], row["line"], row["column"], row["code"])
        found.setdefault(row["job_id"], []).append(noted)
    return {job_id: sorted(notes) for job_id, notes in found.items()}


def _assert_rejections(env: Ground, expected: Mapping[int, Outcome]) -> None:
    found: dict[int, list[Rejected]] = {job_id: [] for job_id in expected}
    for row in select(env, "SELECT * FROM rejections ORDER BY job_id, record_number"):
        found[row["job_id"]].append(Rejected(row["record_number"], row["line"], row["code"]))
    for job_id, outcome in expected.items():
        assert found[job_id] == outcome.rejections, f"job {job_id}"


def _assert_statuses(env: Ground, jobs: Sequence[JobAccepted]) -> None:
    """The last status of each job is what its row says."""
    rows = select(env, "SELECT job_id, state FROM jobs")
    states = {row["job_id"]: row["state"] for row in rows}
    wait_until(
        lambda: _last_states(env) == states,
        HEALING_TIMEOUT_S,
        saying="the last statuses have left the outbox",
    )
    assert {job.job_id for job in jobs} == states.keys()


def _last_states(env: Ground) -> dict[int, str]:
    return {job_id: status.state for job_id, status in last_statuses(env.settings).items()}


def _assert_one_order(env: Ground, jobs: Sequence[JobAccepted]) -> None:
    """Every partition opens and seals the jobs in the order of ``job-events``."""
    expected = [job.job_id for job in jobs]
    for partition, events in enumerate(control_events(env.settings)):
        for kind in (JobOpened, JobSealed):
            ids = [event.job_id for event in events if type(event) is kind]
            assert list(dict.fromkeys(ids)) == expected, f"{kind.__name__} in {partition}"
