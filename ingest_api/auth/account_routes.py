"""The routes below ``/admin/accounts``: accounts and their roles, for administrators.

Bodies are read by :func:`ingest_api.web.json_body.json_body`, so these routes are
streams: nothing of a body is read before it is known who sends it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import structlog

from ingest_api.auth.accounts import UNKNOWN_ACCOUNT, AccountChange
from ingest_api.auth.credentials import name_fault, password_fault
from ingest_api.auth.middleware import account_of
from ingest_api.auth.operations import (
    ADD_ACCOUNT,
    CHANGE_ACCOUNT,
    DELETE_ACCOUNT,
    LIST_ACCOUNTS,
    SHOW_ACCOUNT,
    AccountAnswer,
    AccountPage,
    AccountShown,
    ChangedAccount,
    NewAccount,
)
from ingest_api.auth.password_hashing import generated_password
from ingest_api.errors import Detail, NotFoundError
from ingest_api.openapi.described import described
from ingest_api.web.dates import date_text
from ingest_api.web.json_body import invalid_body, json_body
from ingest_api.web.paging import page_of
from ingest_api.web.request_context import note_act
from ingest_api.web.roles import Account

if TYPE_CHECKING:
    from sanic import Blueprint, Request

    from ingest_api.auth.accounts import Accounts
    from ingest_api.auth.authenticator import Authenticator

_log = structlog.stdlib.get_logger("rollcall.api")


def add_account_routes(api: Blueprint, accounts: Accounts, authenticator: Authenticator) -> None:
    """Add the routes."""
    _add_reads(api, accounts)
    _add_changes(api, accounts, authenticator)
    _add_deletion(api, accounts, authenticator)


def _add_reads(api: Blueprint, accounts: Accounts) -> None:
    @api.get("/admin/accounts")
    @described(LIST_ACCOUNTS)
    async def account_page(request: Request[Any, Any]) -> AccountPage:
        total, rows = await accounts.select_page(page_of(request))
        return AccountPage(total, [_shown(row) for row in rows])

    @api.get("/admin/accounts/<name:str>")
    @described(SHOW_ACCOUNT)
    async def account(_request: Request[Any, Any], name: str) -> AccountShown:
        return _shown(await accounts.fetch(_name_in(name)))

    _ = account_page, account


def _add_changes(api: Blueprint, accounts: Accounts, authenticator: Authenticator) -> None:
    @api.post("/admin/accounts", stream=True)
    @described(ADD_ACCOUNT)
    async def add_account(request: Request[Any, Any]) -> AccountAnswer:
        by = account_of(request)
        body = await json_body(request, NewAccount)
        note_act(request, body.name, role=body.role)
        check_field("name", name_fault(body.name))
        _check_password(body.password)
        generated = None if body.password is not None else generated_password()
        password = body.password or generated or ""
        await accounts.add(Account(body.name, body.role), password)
        authenticator.invalidate()
        _log.info("account added", by=by.name, account=body.name, role=body.role)
        return AccountAnswer(body.name, "Account added successfully", generated)

    @api.put("/admin/accounts/<name:str>", stream=True)
    @described(CHANGE_ACCOUNT)
    async def change_account(request: Request[Any, Any], name: str) -> AccountAnswer:
        by = account_of(request)
        body = await json_body(request, ChangedAccount)
        name = _name_in(name)
        note_act(request, role=body.role, password=body.password and "changed")
        if body.role is None and body.password is None:
            raise invalid_body(Detail("REQUIRED", "role or password is required.", column="role"))
        _check_password(body.password)
        await accounts.change(name, AccountChange(body.role, body.password))
        authenticator.invalidate()
        _log.info(
            "account changed",
            by=by.name,
            account=name,
            role=body.role,
            is_password_changed=body.password is not None,
        )
        return AccountAnswer(name, "Account updated successfully")

    _ = add_account, change_account


def _add_deletion(api: Blueprint, accounts: Accounts, authenticator: Authenticator) -> None:
    @api.route("/admin/accounts/<name:str>/delete", methods=["POST"], ignore_body=True)
    @described(DELETE_ACCOUNT)
    async def delete_account(request: Request[Any, Any], name: str) -> AccountAnswer:
        by = account_of(request)
        name = _name_in(name)
        await accounts.delete(name)
        authenticator.invalidate()
        _log.info("account deleted", by=by.name, account=name)
        return AccountAnswer(name, "Account deleted successfully")

    _ = delete_account


def check_field(name: str, fault: str | None) -> None:
    """Refuse a body whose field has a fault.

    Raises:
        InvalidRequestError: it has one.
    """
    if fault is not None:
        raise invalid_body(Detail("VALUE_INVALID", fault, column=name))


def _check_password(password: str | None) -> None:
    check_field("password", None if password is None else password_fault(password))


def _name_in(segment: str) -> str:
    """The name that a segment of the path says.

    The framework's own decoding depends on the order in which it happens to meet the routes.

    Raises:
        NotFoundError: no account has such a name; not every text could even be looked for.
    """
    name = unquote(segment)
    if name_fault(name) is not None:
        raise NotFoundError(UNKNOWN_ACCOUNT)
    return name


def _shown(row: dict[str, Any]) -> AccountShown:
    return AccountShown(
        row["name"], row["role"], date_text(row["created_at"]), date_text(row["modified_at"])
    )
