"""Tables of accounts and tokens that were made before a role was known take it."""

from __future__ import annotations

from importlib import resources
from typing import TYPE_CHECKING

import psycopg
import pytest

from ingest_api.web.roles import ROLES

if TYPE_CHECKING:
    from tests.support.servers.surroundings import Ground

DDL = resources.files("ingest_api.auth").joinpath("tables.sql").read_bytes()
EARLIER = """
ALTER TABLE rollcall_api.account
    DROP CONSTRAINT account_role_check,
    ADD CONSTRAINT account_role_check CHECK (role IN ('reader', 'importer', 'admin'));
ALTER TABLE rollcall_api.token
    DROP CONSTRAINT token_role_check,
    ADD CONSTRAINT token_role_check CHECK (role IN ('reader', 'importer', 'admin'));
"""
ACCOUNT = "INSERT INTO rollcall_api.account (name, role, password_hash) VALUES (%s, %s, %s)"
TOKEN = """
INSERT INTO rollcall_api.token (name, role, secret_sha256, created_by)
VALUES (%s, %s, sha256('x'), 'a')
"""


def test_tables_of_an_earlier_version_take_every_role(env: Ground) -> None:
    """Once an API has started on them; and no other."""
    with psycopg.connect(env.conninfo, autocommit=True) as connection:
        for statement in (DDL, EARLIER.encode(), DDL, DDL):
            connection.execute(statement)
        for role in ROLES:
            connection.execute(ACCOUNT, (role, role, "$argon2id$x"))
            connection.execute(TOKEN, (role, role))
        with pytest.raises(psycopg.errors.CheckViolation):
            connection.execute(ACCOUNT, ("king", "king", "$argon2id$x"))
        with pytest.raises(psycopg.errors.CheckViolation):
            connection.execute(TOKEN, ("king", "king"))
