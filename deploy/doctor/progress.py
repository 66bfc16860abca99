"""Looks twice at what should go on: publishing, projecting, the outbox, jobs, dead letters."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, LiteralString

from psycopg import errors, sql
from psycopg.rows import dict_row

from deploy.doctor.finding import judged
from ingest_api.publisher.consumer_lag import ConsumerLag
from processor.tables.instance_registry import fetch_active
from schemas.clients.ranges import RangeReader

if TYPE_CHECKING:
    from collections.abc import Iterator

    import psycopg

    from deploy.doctor.finding import Finding
    from schemas.config.settings import Settings

BETWEEN_LOOKS_S: Final = 2.0
_DAY_MS: Final = 86_400_000
_OUTBOX: LiteralString = """
SELECT count(*) AS waiting, min(id) AS first
FROM (SELECT id FROM {schema}.outbox ORDER BY id LIMIT 10000) AS next
"""
_OPEN_JOBS: LiteralString = """
SELECT count(*) AS jobs, min(job_id)::text AS oldest,
       COALESCE(extract(epoch FROM now() - min(accepted_at)), 0)::int AS age_s
FROM public.jobs WHERE state = 'PROCESSING'
"""


@dataclass(frozen=True, slots=True)
class _Look:
    """What there was at one moment: records that wait, and where each of those who work is."""

    lag: int
    projected: tuple[int, ...]
    unpublished: int
    published: int
    outbox: int
    outbox_first: int | None
    jobs: dict[str, Any]


def progress_findings(settings: Settings, connection: psycopg.Connection) -> Iterator[Finding]:
    """Yield whether what waits goes on.

    Raises:
        KafkaUnreachableError, LogUnavailableError: Kafka does not answer any more.
        psycopg.Error: Postgres does not answer any more.
    """
    first = _look(settings, connection)
    is_idle = not (first.lag or first.unpublished or first.outbox)
    if not is_idle:
        time.sleep(BETWEEN_LOOKS_S)
    then = first if is_idle else _look(settings, connection)
    yield judged(
        "publishing",
        f"events of job-events that wait: {then.unpublished}",
        _stuck(then.unpublished, "events of job-events", then.published == first.published),
        "look at the publisher's log, at `rollcall jobs`, and whether `rollcall serve` runs",
    )
    yield judged(
        "lag",
        f"records of user-events that wait: {then.lag:,}",
        _stuck(then.lag, "records of user-events", then.projected == first.projected),
        "look at the processors' logs, and whether `rollcall process` runs",
    )
    yield judged(
        "outbox",
        f"statuses and dead letters that wait: {then.outbox}",
        _stuck(then.outbox, "statuses and dead letters", then.outbox_first == first.outbox_first),
        'look in the processors\' logs for "the outbox waits"',
    )
    yield _jobs(then, is_moving=then != first)
    yield _dead_letters(settings)


def _stuck(waiting: int, of: str, is_still: bool) -> str | None:  # noqa: FBT001 - a fact, not a choice
    if not (waiting and is_still):
        return None
    return f"{waiting:,} {of} wait, and none was taken for {BETWEEN_LOOKS_S:.0f} s"


def _jobs(look: _Look, *, is_moving: bool) -> Finding:
    jobs = look.jobs
    fault = f"job {jobs['oldest']} is open since {jobs['age_s']} s, and nothing moves"
    is_stuck = bool(jobs["jobs"]) and not is_moving and jobs["age_s"] > BETWEEN_LOOKS_S
    remedy = f"`rollcall status {jobs['oldest']}`; the publisher sends it again by itself"
    return judged("jobs", f"{jobs['jobs']} open", fault if is_stuck else None, remedy)


def _look(settings: Settings, connection: psycopg.Connection) -> _Look:
    topics = settings.topics
    lag = ConsumerLag(settings.kafka, topics.user_events, settings.group)
    events = ConsumerLag(settings.kafka, topics.job_events, f"{settings.group}-publisher")
    projected, published = lag.next_offsets(), events.next_offsets()
    jobs, outbox = _of_tables(connection)
    return _Look(
        lag=sum(max(0, end - at) for end, at in zip(lag.ends(), projected, strict=True)),
        projected=tuple(projected),
        unpublished=max(0, events.ends()[0] - published[0]) if published[0] else 0,
        published=published[0],
        outbox=outbox["waiting"],
        outbox_first=outbox["first"],
        jobs=jobs,
    )


def _of_tables(connection: psycopg.Connection) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the open jobs and the outbox, none where there are no tables yet."""
    none: dict[str, Any] = {"jobs": 0, "oldest": None, "age_s": 0}
    with connection.cursor(row_factory=dict_row) as cursor:
        try:
            active = fetch_active(connection.cursor())
            if active is None:
                return none, {"waiting": 0, "first": None}
            outbox = sql.SQL(_OUTBOX).format(schema=sql.Identifier(active.schema))
            jobs = cursor.execute(_OPEN_JOBS).fetchone() or none
            return jobs, cursor.execute(outbox).fetchone() or {}
        except errors.UndefinedTable:
            return none, {"waiting": 0, "first": None}


def _dead_letters(settings: Settings) -> Finding:
    topic = settings.topics.dead_letters.name
    day_ago_ms = int(time.time() * 1000) - _DAY_MS
    with RangeReader(settings.kafka, "doctor") as reader:
        partitions = reader.partitions(topic)
        bounds = [reader.bounds(topic, each) for each in partitions]
        since = reader.offsets_at(topic, partitions, day_ago_ms)
    total = sum(end - begin for begin, end in bounds)
    pairs = zip(since, bounds, strict=True)
    new = sum(end - first for first, (_, end) in pairs if first is not None)
    return judged(
        "dead letters",
        f"{total:,} in all, none in the last 24 hours",
        f"{new:,} in the last 24 hours" if new else None,
        "`rollcall dead-letters` shows what is wrong with them, and sends them again",
    )
