"""The rejected lines of one person, from a read model made by hand."""

from __future__ import annotations

from typing import TYPE_CHECKING

import psycopg
import pytest

from ingest_api.errors import InvalidRequestError
from ingest_api.export.person import SELECT_END, SELECT_REJECTED, select_rejected
from tests.support.data.read_model_rows import ask, execute, make_read_model

if TYPE_CHECKING:
    from tests.support.servers.surroundings import Ground

_LINES = 20_000
_REJECTIONS = """
INSERT INTO model.rejection (job_id, record_number, line, code, reason, raw)
SELECT 7 + n / 10000, n, n + 1, 'KEY_EXISTS', 'r', 'A,B,u' || n %% 5000 || '@b.co'
FROM generate_series(1, %s) AS n
"""


@pytest.fixture
def conninfo(env: Ground) -> str:
    """A read model with lines that two jobs rejected, each key four times."""
    make_read_model(env.conninfo)
    execute(env.conninfo, _REJECTIONS, _LINES)
    execute(env.conninfo, "ANALYZE model.rejection")
    return env.conninfo


@pytest.mark.parametrize("at_once", [4_000, _LINES, _LINES + 1])
def test_lines_are_found_however_many_are_searched_at_once(conninfo: str, at_once: int) -> None:
    """In order, each once, however it is spelt."""
    found = ask(conninfo, lambda db: select_rejected(db, ",U17@B.co", at_once=at_once))
    assert [(each.job_id, each.line) for each in found] == [
        ("7", 18), ("7", 5018), ("8", 10018), ("8", 15018),
    ]  # fmt: skip
    assert found[0].raw == "A,B,u17@b.co"


@pytest.mark.parametrize("at_once", [1_000, _LINES])
def test_a_text_that_very_many_lines_hold_is_refused(conninfo: str, at_once: int) -> None:
    """Before they are in memory; as many as may be are found."""
    each = len("A,B,u17@b.co")

    def found(key: str, most_bytes: int) -> int:
        lines = ask(
            conninfo,
            lambda db: select_rejected(db, key, at_once=at_once, most_bytes=most_bytes),
        )
        return len(lines)

    assert found(",u17@", 4 * each) == 4
    for key, most_bytes in ((",u17@", 4 * each - 1), ("@", 100 * each)):
        with pytest.raises(InvalidRequestError) as refused:
            found(key, most_bytes)
        (detail,) = refused.value.details
        assert (detail.column, "whole key" in detail.message) == ("key", True)


@pytest.mark.parametrize("statement", [SELECT_END, SELECT_REJECTED])
def test_a_statement_reads_a_range_of_the_primary_key(conninfo: str, statement: str) -> None:
    """And never the whole table."""
    values = {
        "job_id": 7, "record_number": 100, "last_job_id": 7, "last_record_number": 400,
        "key": "u17@", "at_once": 100, "most_bytes": 100,
    }  # fmt: skip
    with psycopg.ClientCursor(psycopg.connect(conninfo)) as cursor, cursor.connection:
        explained = cursor.execute(f"EXPLAIN {statement}".encode(), values).fetchall()
    plan = "\n".join(row[0] for row in explained)
    assert "rejection_pkey" in plan
    assert "Seq Scan" not in plan
