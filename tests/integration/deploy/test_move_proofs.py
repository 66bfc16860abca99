"""What the proof of a moved log finds in two sets of tables made by hand."""

from __future__ import annotations

from typing import TYPE_CHECKING, LiteralString

import psycopg
import pytest
from psycopg import sql

from deploy.log_migration import MoveFailedError
from deploy.log_migration.erase.proof import PROOF
from deploy.log_migration.proof import prove
from deploy.log_migration.rekey.proof import prove_rekeyed
from tests.support.data.read_model_rows import execute, make_instance

if TYPE_CHECKING:
    from tests.support.servers.surroundings import Ground

SCHEMAS = ("old", "new")
JOB: LiteralString = """
INSERT INTO {schema}.job (job_id, mode, lines, sha256, accepted_at, accepted_by, started_at)
VALUES (7, 'delsert', 0, 'aa', 'epoch', 'admin', 'epoch')
"""
COUNTS: LiteralString = """
INSERT INTO {schema}.job_partition (job_id, partition, deleted, opened_offset, opened_at)
VALUES (7, 0, 5, 0, 'epoch'), (7, 1, 5, 0, 'epoch')
"""


@pytest.fixture
def connection(env: Ground) -> psycopg.Connection:
    """A session on two sets of tables with a job that deleted ten users."""
    for schema in SCHEMAS:
        make_instance(env.conninfo, schema)
        for statement in (JOB, COUNTS):
            execute(env.conninfo, statement.format(schema=schema))
    return psycopg.connect(env.conninfo, autocommit=True)


@pytest.mark.parametrize(
    ("partition", "deleted", "is_erased"),
    [(0, 5, True), (0, 4, True), (0, 3, False), (0, 6, False), (1, 4, False)],
)
def test_a_job_deletes_as_many_users_as_before_but_the_one_that_is_erased(
    connection: psycopg.Connection, partition: int, deleted: int, *, is_erased: bool
) -> None:
    """Which is in its own partition; after a rekey it deletes just as many."""
    parts = {"key": sql.Literal("k"), "home": sql.Literal(0), "erased": sql.Literal("ERASED")}
    change = "UPDATE new.job_partition SET deleted = %s WHERE partition = %s"
    with connection:
        connection.execute(change, (deleted, partition))
        if is_erased:
            assert prove(connection, SCHEMAS, PROOF, **parts) == 0
        else:
            with pytest.raises(MoveFailedError, match="users deleted by jobs"):
                prove(connection, SCHEMAS, PROOF, **parts)
        if deleted == 5:
            assert prove_rekeyed(connection, SCHEMAS, None) == 0
        else:
            with pytest.raises(MoveFailedError, match="users deleted by jobs"):
                prove_rekeyed(connection, SCHEMAS, None)
