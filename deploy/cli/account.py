"""Whose name a command calls the API in."""

import os

import click

from deploy.api_client import Account


def account() -> Account:
    """From ROLLCALL_USER and ROLLCALL_PASSWORD, else asked for.

    A password is never an argument: every user of the machine can read those.
    """
    user = os.environ.get("ROLLCALL_USER") or click.prompt("User", default="admin", err=True)
    password = os.environ.get("ROLLCALL_PASSWORD") or click.prompt(
        f"Password of {user}", hide_input=True, err=True
    )
    return Account(user, password)
