"""`./rollcall accounts reset-password`: a forgotten password, by who has the database."""

from pathlib import Path
from typing import LiteralString

import click
import psycopg

from deploy.cli.audited import begin_act, end_act
from deploy.cli.command_error import CommandError
from deploy.cli.options import data_dir_option
from deploy.cli.output.tables import print_message
from deploy.cli.session import new_password
from deploy.cli.stack_settings import settings_of
from ingest_api.auth.accounts import ADMIN
from ingest_api.auth.credentials import password_fault
from ingest_api.auth.password_hashing import generated_password, hash_password

_RESET: LiteralString = """
UPDATE rollcall_api.account SET password_hash = %(hash)s, modified_at = now() WHERE name = %(name)s
"""
_ADD_ADMIN: LiteralString = """
INSERT INTO rollcall_api.account (name, role, password_hash) VALUES (%(name)s, 'admin', %(hash)s)
"""


password_option = click.option(
    "--ask-password",
    is_flag=True,
    help="Ask for the new password, or read it from standard input; it is never an argument.",
)


@click.command("reset-password")
@click.argument("name")
@password_option
@data_dir_option
@click.option("--json", "as_json", is_flag=True, help="Print the answer as JSON.")
def reset_password(name: str, data_dir: Path, *, ask_password: bool, as_json: bool) -> None:
    """Give the account NAME a new password, in the database, without being logged in.

    It is generated and shown once, or asked for. The account `admin` is made where it is missing.
    The database is that of ROLLCALL_DATABASE_URL, or of the stack that runs on this machine.
    """
    password = new_password(name) if ask_password else generated_password()
    if fault := password_fault(password):
        raise CommandError(fault)
    conninfo = settings_of(data_dir).database_url
    try:
        _store(conninfo, name, password)
    except psycopg.errors.UndefinedTable:
        raise CommandError("no API has been started with this database yet") from None
    except psycopg.Error as error:
        raise CommandError(f"the database can't be reached: {error}".strip()) from error
    answer = {"name": name, "message": "Password set; older ones are refused within two seconds"}
    if not ask_password:
        answer["password"] = password
    print_message(answer, ("name", "password"), as_json=as_json)


def _store(conninfo: str, name: str, password: str) -> None:
    parameters = {"name": name, "hash": hash_password(password)}
    with psycopg.connect(conninfo) as connection:
        end_act(connection, begin_act(connection, "account.reset-password", name))
        if connection.execute(_RESET, parameters).rowcount:
            return
        if name != ADMIN:
            raise CommandError(f"there is no account {name}; `rollcall accounts` lists them")
        connection.execute(_ADD_ADMIN, parameters)
