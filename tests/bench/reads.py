"""Pages by key of users and of rejected lines, at several depths, over HTTP and straight in SQL."""

import time
from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Any, LiteralString

import psycopg

from tests.bench.services import Installation

PAGE_SIZE = 100
_PAGES_EACH = 30
_DEPTHS = {"first": 0.0, "middle": 0.5, "last": 1.0}

_COUNT_USERS = "SELECT count(*) FROM users"
_USER_AT = "SELECT id FROM users ORDER BY id OFFSET %s LIMIT 1"
_USERS = """
    SELECT id, first_name, last_name, email, mobile_number, country, state, last_active_date,
           sms_subscription, email_subscription, voice_subscription, attributes,
           created_at, modified_at
    FROM users WHERE id > %s ORDER BY id LIMIT 100
"""
_LAST_REJECTION = "SELECT coalesce(max(record_number), 0) FROM rejections WHERE job_id = %s"
_REJECTIONS = """
    SELECT record_number, line, "column", code, reason, value, raw
    FROM rejections WHERE job_id = %s AND record_number > %s ORDER BY record_number LIMIT 100
"""


@dataclass(frozen=True, slots=True)
class PageTime:
    """One page: how long HTTP took, and how long the same query on one connection."""

    what: str
    http_ms: float
    sql_ms: float


@dataclass(frozen=True, slots=True)
class _Page:
    what: str
    path: str
    query: LiteralString
    parameters: tuple[int, ...]


def measured_pages(installed: Installation, job_id: str) -> Generator[PageTime]:
    """Times pages of the users there are and of the rejected lines of the job, in turn."""
    with psycopg.connect(installed.settings.database_url, autocommit=True) as connection:
        pages = [*_user_pages(connection), *_error_pages(connection, int(job_id))]
        for _ in range(_PAGES_EACH):
            for page in pages:
                http_ms = _milliseconds(lambda page=page: installed.client.get(page.path))
                sql_ms = _milliseconds(
                    lambda page=page: connection.execute(page.query, page.parameters).fetchall()
                )
                yield PageTime(page.what, http_ms, sql_ms)


def _user_pages(connection: psycopg.Connection) -> Generator[_Page]:
    last = max(_number(connection, _COUNT_USERS) - PAGE_SIZE, 0)
    for depth, part in _DEPTHS.items():
        after = _number(connection, _USER_AT, int(last * part))
        path = f"/audience?after={after}&pageSize={PAGE_SIZE}"
        yield _Page(f"users, {depth} page", path, _USERS, (after,))


def _error_pages(connection: psycopg.Connection, job_id: int) -> Generator[_Page]:
    last = max(_number(connection, _LAST_REJECTION, job_id) - PAGE_SIZE, 0)
    for depth, part in _DEPTHS.items():
        after = int(last * part)
        path = f"/batchinfo/errors/{job_id}?after={after}&pageSize={PAGE_SIZE}"
        yield _Page(f"errors, {depth} page", path, _REJECTIONS, (job_id, after))


def _number(connection: psycopg.Connection, query: LiteralString, *parameters: int) -> int:
    row: Any = connection.execute(query, parameters).fetchone()
    return int(row[0])


def _milliseconds(action: Callable[[], object]) -> float:
    begin = time.perf_counter()
    action()
    return (time.perf_counter() - begin) * 1000
